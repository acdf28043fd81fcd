"""Pooling before projecting gives the values of the direct form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.attention.gated_heads import (
    scores_from_maps,
    scores_from_pooled,
)
from tests.attention.gated.networks import build, images, total


@settings(max_examples=40)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    heads=st.integers(1, 4),
    rows=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_pooling_first_is_exact(height: int, width: int, heads: int, rows: int, kernel: int, seed: int) -> None:
    """Values and gradients by all three inputs; maps down to one pixel, where a 3x3 window is mostly border."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 3, height, width), (heads, rows, 3, kernel, kernel), (2, heads, height, width))
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    pooled, direct = scores_from_pooled(*inputs), scores_from_maps(*inputs)
    assert torch.allclose(pooled, direct, atol=1e-10)
    upstream = torch.randn(pooled.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad(s, inputs, upstream) for s in (pooled, direct)), strict=True):
        assert torch.allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_both_forms_train_alike(variant: str) -> None:
    net = build(variant=variant)
    twin = build(variant=variant, form="direct")
    twin.load_state_dict(net.state_dict())
    for each in (net, twin):
        total(each, each.output(images(4, 33, 47, torch.float32))).backward()
    for (name, one), other in zip(net.named_parameters(), twin.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-4 * (1 + one.grad.abs().max().item())), name
