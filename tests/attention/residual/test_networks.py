"""Residual attention on whole networks: gradients, maps, precision, compilation, copies."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from tests.attention.residual.networks import cifar, module


@pytest.mark.parametrize("activation", ["mixed", "channel", "spatial"])
@pytest.mark.parametrize("learning", ["residual", "naive"])
@pytest.mark.parametrize("mask", ["encoder_decoder", "local"])
def test_every_parameter_learns(activation: str, learning: str, mask: str) -> None:
    net = cifar(activation=activation, learning=learning, mask=mask)
    output = net.output(torch.randn(2, 3, 32, 32))
    net.losses(output, torch.tensor([3, 1]))["cross_entropy"].backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.count_nonzero() > 0, name


def test_the_mask_filters_the_gradient_of_the_trunk() -> None:
    found = module(learning="naive").eval()
    nn.init.zeros_(found.post[0].get_parameter("conv3.weight"))  # the post unit is the identity
    x = torch.randn(1, 8, 16, 16)
    trunk, mask = found.trunk(found.pre(x)), found(x).extras["mask"]
    (plain,) = torch.autograd.grad(trunk.square().sum(), found.trunk[1].get_parameter("conv3.weight"))
    assert plain.abs().sum() > 0
    direction = 2 * mask.detach() * trunk.detach()
    (expected,) = torch.autograd.grad(
        found.trunk(found.pre(x)), found.trunk[1].get_parameter("conv3.weight"), mask.detach() * direction
    )
    (got,) = torch.autograd.grad(found(x).features.square().sum(), found.trunk[1].get_parameter("conv3.weight"))
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-5)  # eq. 2


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (33, 47)], ids=str)
def test_maps_are_the_masks(size: tuple[int, int]) -> None:
    net = cifar(modules=[2, 0, 1])
    found = net.maps(net.output(torch.randn(2, 3, *size)))
    height, width = size
    quarter = (-(-height // 4), -(-width // 4))
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "stage1.module0": (2, 8, height, width),
        "stage1.module1": (2, 8, height, width),
        "stage3.module0": (2, 32, *quarter),
    }
    assert all(values.min() > 0 and values.max() < 1 for values in found.values())
    assert not torch.equal(found["stage1.module0"], found["stage1.module1"])


def test_a_batch_of_one_trains() -> None:
    net = cifar(activation="spatial").train()
    output = net.output(torch.randn(1, 3, 32, 32))
    net.losses(output, torch.tensor([3]))["cross_entropy"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("activation", ["mixed", "channel", "spatial"])
def test_bf16_autocast_is_near_fp32(activation: str) -> None:
    found = module(4, activation=activation).train()
    x = torch.randn(4, 16, 16, 16)
    full = found(x).extras["mask"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = found(x).extras["mask"]
    assert half.isfinite().all()
    assert (half.float() - full).abs().mean() < 0.05 * full.std() + 0.02


@pytest.mark.parametrize(
    "options",
    [{"activation": "channel", "mask": "local"}, {"activation": "spatial", "depth": 2, "learning": "naive"}],
    ids=str,
)
def test_compiles_as_one_graph_and_copies(options: dict[str, Any]) -> None:
    found = module(**options).eval()
    x = torch.randn(2, 8, 16, 20)
    expected = found(x)
    twin = copy.deepcopy(found)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.zero_()
    twin.compile(fullgraph=True, backend="aot_eager")
    assert torch.allclose(twin(x).features, expected.features, atol=1e-5)
    assert torch.allclose(twin(x).extras["mask"], expected.extras["mask"], atol=1e-5)
