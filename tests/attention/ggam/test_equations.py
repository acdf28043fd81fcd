"""GGAM against its equations, with class-score gradients by complex steps."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attnbench.attention.ggam_guide import Divergence, Guide, LossReduction, Squash
from tests.attention.ggam.networks import CLASSES, LABELS, features_of, ggam, name_of
from tests.attention.ggam.reference import (
    reference_attended,
    reference_distance,
    reference_importance,
    reference_logits,
    reference_weights,
    state_of,
)

CASES: list[dict[str, Any]] = [
    {},
    {"variant": "official"},
    {"spatial_norm": "softmax"},
    {"gradient_at": "output"},
    {"gradient_class": "predicted", "spatial_norm": "sigmoid"},
    {"pooling": "avg"},
    {"head": "linear"},
    {"head": "linear", "pooling": "avg", "spatial_norm": "softmax", "gradient_at": "output"},
    {"spatial": False},
    {"spatial": False, "scale": "literal"},
    {"scale": "literal"},
    {"descriptor": "literal"},
    {"scale": "literal", "descriptor": "literal"},
    {"variant": "official", "descriptor": "unit"},
    {"variant": "official", "spatial_norm": "softmax", "scale": "unit"},
    {"channel": False, "lambda_": 0.0},
    {"channel": False, "lambda_": 0.0, "spatial_norm": "sigmoid"},
    {"channel": False, "spatial": False, "lambda_": 0.0},
]


@pytest.mark.parametrize("options", CASES, ids=name_of)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_parity_with_the_equations(options: dict[str, Any], training: bool) -> None:
    attention = ggam(**options).train(training)
    state = state_of(attention)
    features = features_of()
    a = features.final.detach().numpy()
    output = attention.classify(features, None)
    expected = reference_logits(a, state, attention)
    assert np.abs(output.logits.detach().numpy() - expected).max() < 1e-10
    maps = attention.maps(output)
    assert maps.keys() == {name for name in ("channel", "spatial") if getattr(attention, name)}
    for b, sample in enumerate(a):
        if attention.channel:
            found = maps["channel"][b, :, 0, 0].detach().numpy()
            assert np.abs(found - reference_importance(sample, state, attention)).max() < 1e-10
        if attention.spatial:
            found = maps["spatial"][b, 0].detach().numpy()
            assert np.abs(found - reference_attended(sample, state, attention)[1]).max() < 1e-10


@pytest.mark.parametrize("options", [case for case in CASES if case.get("channel", True)], ids=name_of)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_weights_and_guide_have_parity_with_complex_steps(options: dict[str, Any], training: bool) -> None:
    attention = ggam(**options, lambda_=1.5).train(training)
    state, guide = state_of(attention), attention.guide
    features = features_of()
    a = features.final.detach().numpy()
    output = attention.classify(features, None)
    predicted = reference_logits(a, state, attention).argmax(1).tolist()
    assert predicted != LABELS.tolist()
    labels = predicted if guide.gradient_class == "predicted" else LABELS.tolist()
    beta = reference_weights(a, state, attention, labels)
    assert np.abs(beta).max() > 1e-4
    assert np.abs(guide.weights(output, LABELS).numpy() - beta).max() < 1e-10
    s = np.stack([reference_importance(sample, state, attention) for sample in a])
    expected = 1.5 * reference_distance(s, beta, guide.squash, guide.divergence, guide.loss_reduction)
    losses = attention.losses(output, LABELS)
    assert losses["guide"].item() == pytest.approx(expected, abs=1e-10)
    assert losses["cross_entropy"].item() == pytest.approx(F.cross_entropy(output.logits, LABELS).item(), rel=1e-6)


@pytest.mark.parametrize("squash", ["sigmoid", "softmax"])
@pytest.mark.parametrize("divergence", ["symmetric", "literal", "one_way"])
@pytest.mark.parametrize("loss_reduction", ["mean", "sum"])
def test_parity_of_each_divergence(squash: Squash, divergence: Divergence, loss_reduction: LossReduction) -> None:
    generator = torch.Generator().manual_seed(7)
    log_s = (2 * torch.randn(4, 6, generator=generator, dtype=torch.float64)).log_softmax(1)
    beta = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    guide = Guide("truth", squash, divergence, loss_reduction, "none", False)
    expected = reference_distance(log_s.exp().numpy(), beta.numpy(), squash, divergence, loss_reduction)
    assert guide.distance(log_s, beta).item() == pytest.approx(expected, abs=1e-10)


def test_weight_norms() -> None:
    features = features_of()
    plain, summed, scored = (
        attention.guide.weights(attention.classify(features, None), LABELS).numpy()
        for attention in (ggam(weight_norm=name).eval() for name in ("none", "sum", "zscore"))
    )
    assert np.abs(summed - 6 * plain).max() < 1e-12
    for row, expected in zip(scored, plain, strict=True):
        assert np.abs(row - (expected - expected.mean()) / expected.std()).max() < 1e-10


def test_soft_targets_stand_for_their_most_likely_class() -> None:
    attention = ggam().eval()
    output = attention.classify(features_of(), None)
    soft = F.one_hot(LABELS, CLASSES) * 0.9 + 0.1 / CLASSES
    assert torch.equal(attention.guide.weights(output, soft), attention.guide.weights(output, LABELS))
    assert torch.equal(attention.losses(output, soft)["guide"], attention.losses(output, LABELS)["guide"])
