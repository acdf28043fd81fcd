"""Averages and subsampling: values, and gradients that keep the memory format."""

import pytest
import torch
from torch import Tensor

from attnbench.backbones.pooling import average, global_average, subsample

FORMATS = (torch.contiguous_format, torch.channels_last)


def image(memory_format: torch.memory_format) -> Tensor:
    values = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    return values.contiguous(memory_format=memory_format).requires_grad_()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (2, 3)])
def test_an_average_is_the_mean(memory_format: torch.memory_format, axes: tuple[int, ...]) -> None:
    x = image(memory_format)
    torch.testing.assert_close(average(x, *axes), x.mean(axes, keepdim=True))
    (gradient,) = torch.autograd.grad(average(x, *axes).square().sum(), x)
    (expected,) = torch.autograd.grad(x.mean(axes).square().sum(), x)
    torch.testing.assert_close(gradient, expected)


def test_a_global_average_has_no_positions() -> None:
    x = image(torch.channels_last)
    torch.testing.assert_close(global_average(x), x.mean((2, 3)))


def test_an_average_in_bf16_stays_in_bf16() -> None:
    x = torch.full((1, 2, 64, 64), 1.5, dtype=torch.bfloat16)
    assert average(x, 2, 3).dtype == torch.bfloat16
    assert average(x, 2, 3).eq(1.5).all()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_subsampling_takes_every_nth_row_and_column(memory_format: torch.memory_format, stride: int) -> None:
    x = image(memory_format)
    taken = subsample(x, stride)
    assert torch.equal(taken, x[:, :, ::stride, ::stride])
    (gradient,) = torch.autograd.grad(taken.square().sum(), x)
    (expected,) = torch.autograd.grad(x[:, :, ::stride, ::stride].square().sum(), x)
    assert torch.equal(gradient, expected)
    assert gradient.is_contiguous(memory_format=memory_format)
