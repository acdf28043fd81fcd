"""Whole ResNets with BAM against the reference, in both variants and with every option."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from attnbench.attention.bam import BAM
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from tests.attention.bam.reference import Reference
from tests.attention.parity.compare import Differences, Losses, Row, compare, randomise
from tests.attention.parity.layers import log_probabilities, negative_likelihood, values_of

CLASSES, BLOCKS = 5, 2
OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"combine": "sum"},
    "product": {"combine": "product"},
    "maximum": {"combine": "max"},
    "channel branch alone": {"branch": "channel"},
    "spatial branch alone": {"branch": "spatial"},
    "d = 1": {"dilation": 1},
    "after every block": {"placement": "block"},
    "gate by tanh": {"gate": "tanh"},
}
"""Options of both variants, by what docs/parity.md calls them."""


def network(variant: str, options: dict[str, Any]) -> Classifier:
    """A ResNet of 16, 32 and 64 channels, with six bottleneck blocks."""
    torch.manual_seed(0)
    backbone = ResNet(9 * BLOCKS + 2, CLASSES, width=4, block="bottleneck", stride_in="1x1")
    return Classifier(backbone, BAM(**{"variant": variant, "reduction": 4, **options}))


def measure(variant: str, options: dict[str, Any], training: bool) -> Differences:
    net = network(variant, options)
    images = torch.randn(4, 3, 16, 12, dtype=torch.float64)
    randomise(net, images)
    net.train(training)
    reference = Reference(values_of(net), {"variant": variant, **options}, training)

    def output(images: Tensor, target: Tensor) -> tuple[Tensor, Losses]:
        logits = reference.network(images, BLOCKS)
        return logits, [negative_likelihood(log_probabilities(logits), target)]

    return compare(net, images, torch.tensor([0, 3, 1, 4]), output)


ROWS = [
    Row("bam", f"{variant}, {title}", source, partial(measure, variant, options))
    for variant, source in (("paper", "equations 1 to 4"), ("official", "released code's facts"))
    for title, options in OPTIONS.items()
]
