"""Insertion points: `Slot`s through which maps pass, and what inserted modules return."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

Taps = dict[str, Tensor]
"""Extras of inserted modules from one forward pass: `"<point>/<module>/<name>"` -> tensor."""


class Point(NamedTuple):
    """A place in a backbone where attention may be inserted.

    Attributes:
        channels: Channels C of the feature map (B, C, H, W) there.
        stride: Image pixels per pixel of the feature map.
    """

    channels: int
    stride: int


class PointError(KeyError, ValueError):
    """A point that a backbone does not have, or a name that is taken there.

    A `ValueError` too, so that a user's attention that names such a point is answered in one line.
    """

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's would be quoted


class ModuleOutput(NamedTuple):
    """The result of an inserted module that returns more than the refined map.

    Attributes:
        features: (B, C, H, W), replaces the module's input.
        extras: Further tensors by name, such as a gate or a mask; they end up in `Features.taps`.
    """

    features: Tensor
    extras: Taps


class Slot(nn.ModuleDict):
    """An insertion point: the identity until modules are inserted, then those modules in order of insertion.

    An inserted module maps (B, C, H, W) to a tensor of the same shape, or to a `ModuleOutput`. It is registered here
    and nowhere else, under its name, so that copies, pickles and state dicts contain it once.

    Args:
        channels: C of the maps that pass.
        stride: Image pixels per pixel of these maps.

    Attributes:
        point: Name of the point; empty until the backbone registers it.
        drop_path: Probability of dropping a sample's map in training (see `Backbone.drop_paths`).
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.point = ""
        self.drop_path = 0.0

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        """Pass a map (B, C, H, W) through the inserted modules; their extras are added to `taps`."""
        for name, module in self.items():
            result = module(x)
            if isinstance(result, ModuleOutput):
                x = result.features
                if taps is not None:
                    taps.update({f"{self.point}/{name}/{key}": value for key, value in result.extras.items()})
            else:
                x = result
        if self.drop_path > 0 and self.training:
            x = x * F.dropout(x.new_ones(len(x), 1, 1, 1), self.drop_path)
        return x
