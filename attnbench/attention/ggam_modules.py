"""The layers of GGAM: channel importance S, normalisations of the map T, the head F_tc. Paper and options: ggam.py."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from attnbench.attention.ggam_guide import SMALLEST
from attnbench.backbones.layers import BatchNorm1d
from attnbench.backbones.pooling import global_average

NORM_EPS = 1e-5
"""Added to squared norms, as by batch normalisation: the gradient of features of zero stays moderate."""

Pooling = Literal["max", "avg"]
SpatialNorm = Literal["sum", "softmax", "sigmoid"]

POOLING: dict[Pooling, Callable[[Tensor], Tensor]] = {"max": lambda x: x.amax((2, 3)), "avg": global_average}
"""(B, C, H, W) to (B, C)."""


def quotient(x: Tensor) -> Tensor:
    """Divide maps (B, 1, H, W) by their sum over positions; negative values count as 0, a map of zeros stays one."""
    positive = x.clamp_min(0)
    return positive / positive.sum((2, 3), keepdim=True).clamp_min(SMALLEST)


def softmax_2d(x: Tensor) -> Tensor:
    """Return the softmax of maps (B, 1, H, W) over positions."""
    return x.flatten(2).softmax(-1).view_as(x)


SPATIAL_NORMS: dict[SpatialNorm, Callable[[Tensor], Tensor]] = {
    "sum": quotient,
    "softmax": softmax_2d,
    "sigmoid": torch.sigmoid,
}


class Excitation(nn.Sequential):
    """log S: features (B, C, H, W) to log-importances (B, C) through a bottleneck of `hidden` units.

    Args:
        unit: Divide the pooled features by their Euclidean norm, and draw W0 sqrt(C) times as large for it.
    """

    def __init__(self, channels: int, hidden: int, unit: bool = False) -> None:
        super().__init__()
        self.unit = unit
        self.reduce = nn.Linear(channels, hidden)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Linear(hidden, channels)
        if unit:
            with torch.no_grad():
                self.reduce.weight.mul_(channels**0.5)

    def forward(self, x: Tensor) -> Tensor:
        descriptor = global_average(x)
        if self.unit:
            descriptor = descriptor * (descriptor.square().sum(1, keepdim=True) + NORM_EPS).rsqrt()
        logits: Tensor = super().forward(descriptor)
        return logits.log_softmax(1)


class MLP(nn.Sequential):
    """F_tc as released: pooled features (B, C) to logits (B, L) through one hidden layer."""

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.norm = BatchNorm1d(channels)
        self.hidden = nn.Linear(channels, hidden)
        self.hidden_norm = BatchNorm1d(hidden)
        self.elu = nn.ELU()
        self.classify = nn.Linear(hidden, classes)
