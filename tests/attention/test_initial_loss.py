"""A fresh network knows nothing: in training mode its cross-entropy is near log L, whatever attention it has.

Where it starts far above, learning rates that suit the plain network are too high. Labels are uniform probabilities,
so that each image's loss is the mean over all labels. Attentions are at their defaults, which `ABOVE` lists where they
start further off; residual attention is checked with further options on post-activation networks.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from attnbench.classifier import Classifier
from tests.attention.pairs import IN_BLOCKS, NARROW, SHIPPED, VARIANTS, Pair, build, chosen, rejection

CLASSES = 10
MARGIN = 0.3

ABOVE: dict[Pair, tuple[float, str]] = {
    **dict.fromkeys(
        ((attention, "cluttered mnist cnn") for attention in ("none", "bam", *IN_BLOCKS)),
        (1.0, "its paper draws the classifier by He et al., so that logits have a variance of 2"),
    ),
    ("bam", "resnet basic"): (
        0.6,
        "each module multiplies the map by 1.5, and shortcuts without a norm carry it to the classifier",
    ),
    ("gated", "resnet bottleneck"): (0.5, "heads read sums of up to six blocks, which nothing normalises"),
}
"""Pairs that start further from log L: by how much at most, and why."""

POSTACTIVATED = ("resnet basic", "resnext", "inception")
PAIRS = [
    *((attention, backbone) for attention in SHIPPED for backbone in NARROW if not rejection(attention, backbone)),
    *((variant, backbone) for variant in VARIANTS if variant.startswith("residual") for backbone in POSTACTIVATED),
]


def excess(net: Classifier) -> float:
    """Cross-entropy of a training batch minus log L."""
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = net.train()(images)
    return F.cross_entropy(logits, torch.full_like(logits, 1 / CLASSES)).item() - math.log(CLASSES)


def mean_excess(attention: str, backbone: str, *more: str) -> float:
    """Mean over seeds, as a narrow network's classifier varies."""
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(excess(build(attention, backbone, *more)))
    return sum(found) / len(found)


def marks_of(pair: Pair) -> list[pytest.MarkDecorator]:
    """Mark as slow most pairs of attentions that differ only in the module that they insert in blocks."""
    return [pytest.mark.slow] if pair[0] in (*IN_BLOCKS, "sk") and pair not in chosen() else []


@pytest.mark.parametrize("pair", [pytest.param(pair, marks=marks_of(pair), id=" on ".join(pair)) for pair in PAIRS])
def test_a_fresh_network_starts_near_log_l(pair: Pair) -> None:
    margin, _ = ABOVE.get(pair, (MARGIN, ""))
    assert -0.01 <= mean_excess(*pair) <= margin


DEEP = ("backbone.depth=56", "attention.modules=3", "attention.mask_depth=[1,1,1]")


def test_three_residual_modules_on_56_layers_start_near_log_l() -> None:
    assert mean_excess("residual", "resnet basic", *DEEP) <= MARGIN


def test_without_normalised_sums_they_start_far_above() -> None:
    assert mean_excess("residual", "resnet basic", *DEEP, "attention.sum_norm=none") > 5
