"""Which gradients GGAM's losses have, and which they leave alone."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.attention.ggam import GGAM
from attnbench.backbones.base import Features
from tests.attention.ggam.networks import (
    CHANNELS,
    LABELS,
    features_of,
    ggam,
    images_of,
    name_of,
    network,
    parameter_gradients,
    total,
)


def test_the_score_gradient_touches_no_parameter_gradient() -> None:
    net = network()
    output = net.output(images_of())
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    net.losses(output, LABELS)
    assert isinstance(net.attention, GGAM)
    net.attention.diagnostics(output, LABELS)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        assert bool((parameter.grad == 0.25).all()), name


def test_the_step_is_that_of_cross_entropy_and_guide_alone() -> None:
    net, other = network(lambda_=2.0, weight_norm="zscore"), network(lambda_=2.0, weight_norm="zscore")
    total(net.losses(net.output(images_of()), LABELS)).backward()
    assert isinstance(other.attention, GGAM)
    weights = other.attention.guide.weights(other.output(images_of()), LABELS)
    output = other.output(images_of())
    log_s, w = output.extras["log_importance"], torch.sigmoid(weights.detach())
    w = w / w.sum(1, keepdim=True)
    guide = ((log_s.exp() - w) * (log_s - w.log())).sum() / 2 / len(w)
    (F.cross_entropy(output.logits, LABELS) + 2 * guide).backward()
    expected = parameter_gradients(other)
    found = parameter_gradients(net)
    assert found.keys() == expected.keys() == dict(net.named_parameters()).keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-4), name


def test_without_lambda_it_is_plain_cross_entropy_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, guided = network(lambda_=0.0), network()
    F.cross_entropy(guided.output(images_of()).logits, LABELS).backward()

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("took a gradient")

    monkeypatch.setattr(torch.autograd, "grad", fail)
    losses = plain.losses(plain.output(images_of()), LABELS)
    assert losses.keys() == {"cross_entropy"}
    total(losses).backward()
    monkeypatch.undo()
    expected = parameter_gradients(guided)
    found = parameter_gradients(plain)
    assert found.keys() == expected.keys() == dict(plain.named_parameters()).keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def guide_gradients(attention: GGAM, features: Features) -> tuple[Tensor, dict[str, Tensor | None]]:
    guide = attention.losses(attention.classify(features, None), LABELS)["guide"]
    named = dict(attention.named_parameters())
    found = torch.autograd.grad(guide, list(named.values()), allow_unused=True)
    return guide.detach(), dict(zip(named, found, strict=True))


@pytest.mark.parametrize("gradient_at", ["features", "output"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_second_order_is_the_whole_derivative_and_detached_is_not(gradient_at: str, training: bool) -> None:
    whole, detached = (
        ggam(second_order=order, weight_norm="sum", gradient_at=gradient_at).train(training) for order in (True, False)
    )
    features = features_of()
    value, gradients = guide_gradients(whole, features)
    same, constant = guide_gradients(detached, features)
    assert torch.equal(value, same)
    for name in constant:
        assert (constant[name] is None) == name.startswith("head"), name
    for name in ("head.hidden.weight", "head.classify.weight", "excite.reduce.weight", "excite.expand.bias"):
        parameter = dict(whole.named_parameters())[name]
        gradient = gradients[name]
        assert gradient is not None
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
        sides = []
        for step in (1e-5, -1e-5):
            moved = copy.deepcopy(whole)
            moved.get_parameter(name).data.add_(step * direction)
            sides.append(moved.losses(moved.classify(features, None), LABELS)["guide"].item())
        slope = (sides[0] - sides[1]) / 2e-5
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-9), name
        partial = constant[name]
        assert partial is None or (partial - gradient).abs().max() > 1e-8, name


@pytest.mark.parametrize(
    "options",
    [{}, {"variant": "official"}, {"second_order": True}, {"spatial": False}, {"second_order": True, "pooling": "avg"}],
    ids=name_of,
)
def test_gradients_reach_every_parameter(options: dict[str, Any]) -> None:
    net = network(**options)
    total(net.losses(net.output(images_of()), LABELS)).backward()
    found = parameter_gradients(net)
    for name, _ in net.named_parameters():
        assert found[name].isfinite().all(), name
        assert found[name].abs().sum() > 0, name


@pytest.mark.parametrize("spatial_norm", ["sum", "softmax", "sigmoid"])
@pytest.mark.parametrize("weight_norm", ["none", "zscore"])
def test_dead_features_give_finite_gradients(spatial_norm: str, weight_norm: str) -> None:
    attention = ggam(spatial_norm=spatial_norm, weight_norm=weight_norm, second_order=True)
    x = torch.zeros(3, CHANNELS, 2, 3, dtype=torch.float64, requires_grad=True)
    total(attention.losses(attention.classify(Features(x, {}), None), LABELS)).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in parameter_gradients(attention).values())
