"""Comparison of a module of ours with timm's: names, initial values, outputs and gradients are bit-equal."""

import torch
from timm.layers.create_attn import create_attn
from torch import nn

from attnbench.bench.modules import refined


def make_timm(name: str, channels: int, reduction: int | None = None) -> nn.Module:
    """Build timm's module with exactly C/r hidden channels."""
    options = {} if reduction is None else {"rd_ratio": 1 / reduction, "rd_divisor": 1}
    module: nn.Module = create_attn(name, channels, **options)
    return module


@torch.no_grad()
def fill_zeros(module: nn.Module, other: nn.Module) -> None:
    """Draw the weights that start at zero, the same in both modules, so that all others have gradients."""
    for parameter, twin in zip(module.parameters(), other.parameters(), strict=True):
        if not parameter.any():
            twin.copy_(parameter.normal_())


def assert_same_as_timm(ours: nn.Module, theirs: nn.Module, channels: int) -> None:
    """Compare two modules that were built from the same seed, in training and in evaluation."""
    states = ours.state_dict(), theirs.state_dict()
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    fill_zeros(ours, theirs)
    x = torch.randn(3, channels, 9, 7)
    for training in (True, False):
        found, expected = (refined(module.train(training)(x)) for module in (ours, theirs))
        assert torch.equal(found, expected)
        for result in (found, expected):
            if any(True for _ in ours.parameters()):
                result.square().sum().backward()
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert parameter.grad is not None
            assert other.grad is not None
            assert torch.equal(parameter.grad, other.grad)
    ours.load_state_dict(theirs.state_dict())
