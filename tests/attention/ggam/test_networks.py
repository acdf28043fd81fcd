"""GGAM under bf16, frozen backbones, compilation, evaluation, copies, any size."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from attnbench.backbones.base import Features
from tests.attention.ggam.networks import (
    CHANNELS,
    CLASSES,
    LABELS,
    features_of,
    ggam,
    images_of,
    network,
    parameter_gradients,
    total,
)


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("gradient_at", ["features", "output"])
def test_bf16_changes_the_features_and_nothing_after_them(second_order: bool, gradient_at: str) -> None:
    attention = ggam(second_order=second_order, gradient_at=gradient_at).float()
    half = features_of().final.detach().bfloat16()
    found: list[dict[str, Tensor]] = []
    for enabled in (True, False):
        attention.zero_grad()
        features = Features((half if enabled else half.float()).requires_grad_(), {})
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = attention.classify(features, None)
            losses = attention.losses(output, LABELS)
            statistics = attention.diagnostics(output, LABELS)
        assert output.logits.dtype == torch.float32
        total(losses).backward()
        found.append({**parameter_gradients(attention), **losses, **statistics})
    for name, value in found[1].items():
        assert torch.equal(found[0][name], value), name


@pytest.mark.parametrize("gradient_at", ["features", "output"])
def test_a_frozen_backbone(gradient_at: str) -> None:
    net = network(gradient_at=gradient_at)
    expected = net.losses(net.output(images_of()), LABELS)
    frozen = network(gradient_at=gradient_at)
    frozen.backbone.requires_grad_(False)
    output = frozen.output(images_of())
    assert not output.features.final.requires_grad
    losses = frozen.losses(output, LABELS)
    assert torch.equal(losses["guide"], expected["guide"])
    total(losses).backward()
    assert parameter_gradients(frozen).keys() == {f"attention.{name}" for name, _ in net.attention.named_parameters()}


def test_compiled_features_and_an_eager_head() -> None:
    net = network(lambda_=2.0)
    eager = copy.deepcopy(net)
    net.backbone.compile(fullgraph=True, backend="aot_eager")
    losses, expected = (found.losses(found.output(images_of()), LABELS) for found in (net, eager))
    assert losses["guide"].item() == pytest.approx(expected["guide"].item(), rel=1e-4)
    total(losses).backward()
    total(expected).backward()
    gradients = parameter_gradients(eager)
    for name, gradient in parameter_gradients(net).items():
        assert torch.allclose(gradient, gradients[name], atol=1e-4), name


def test_evaluation_needs_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network().eval()
    expected = net(images_of())

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("took a gradient")

    monkeypatch.setattr(torch.autograd, "grad", fail)
    with torch.no_grad():
        output = net.output(images_of())
        assert torch.equal(output.logits, expected)
        assert net.losses(output, LABELS).keys() == {"cross_entropy"}
    with torch.inference_mode():
        assert torch.equal(net(images_of()), expected)


def test_a_copy_of_a_trained_network_takes_the_same_step() -> None:
    net = network()
    names = list(net.state_dict())
    total(net.losses(net.output(images_of()), LABELS)).backward()
    net.zero_grad()
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == names
    losses, expected = (found.losses(found.output(images_of()), LABELS) for found in (twin, net))
    total(losses).backward()
    assert torch.equal(losses["guide"], expected["guide"])
    assert not parameter_gradients(net)


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (8, 8), (14, 14), (33, 47)], ids=str)
@pytest.mark.parametrize("spatial_norm", ["sum", "softmax", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 3])
def test_sizes_and_a_batch_of_one(size: tuple[int, int], spatial_norm: str, batch: int) -> None:
    attention = ggam(spatial_norm=spatial_norm).float().train()
    x = features_of(batch, size).final.detach().float().requires_grad_()
    output = attention.classify(Features(x, {}), None)
    assert output.logits.shape == (batch, CLASSES)
    shapes = {name: tuple(values.shape) for name, values in attention.maps(output).items()}
    assert shapes == {"channel": (batch, CHANNELS, 1, 1), "spatial": (batch, 1, *size)}
    total(attention.losses(output, LABELS[:batch])).backward()
    assert len(parameter_gradients(attention)) == len(list(attention.parameters()))
    assert all(gradient.isfinite().all() for gradient in parameter_gradients(attention).values())
