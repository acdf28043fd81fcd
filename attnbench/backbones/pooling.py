"""Averages and subsampling that cost little in channels_last, gradients included.

The gradients of `Tensor.mean` and of slices are never channels_last; a sum of gradients in mixed formats takes four
times as long on a CPU, where a mean in bf16 also takes up to nine times as long as a sum.
"""

import math

import torch
from torch import Tensor


def average(x: Tensor, *axes: int) -> Tensor:
    """Average over the given axes, which stay with size 1; in channels_last, the gradient is not a copy."""
    if not x.is_contiguous(memory_format=torch.channels_last):
        return x.mean(axes, keepdim=True)
    total = x.sum(axes, keepdim=True, dtype=x.dtype)  # without a dtype, autocast on a GPU would copy x to fp32
    return total / math.prod([x.shape[axis] for axis in axes])  # torch.compile cannot trace a generator here


def global_average(x: Tensor) -> Tensor:
    """Average (B, C, H, W) over all positions: (B, C)."""
    return average(x, 2, 3).flatten(1)


def subsample(x: Tensor, stride: int) -> Tensor:
    """Return every `stride`-th row and column of (B, C, H, W)."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1)[:, ::stride, ::stride].permute(0, 3, 1, 2)
    return x[:, :, ::stride, ::stride]
