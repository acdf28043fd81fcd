"""Maps where stages of a backbone end, behind what an attention inserted there: what every detector reads."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.attention.base import Tap
from attnbench.backbones.base import Backbone

TAP = "detection"
"""The name under which a stage's end is read."""


@dataclass(frozen=True)
class DetectorOptions:
    """Size of a detector.

    Attributes:
        classes: number of classes, without the background.
        mean: of each channel of images, for values in [0, 1].
        std: likewise.
        min_size: length in pixels to which the shorter side of images is resized; both sides, for SSD.
        max_size: the longest side.
        channels: of the feature pyramid and the heads; torchvision has 256.
        anchor_scale: side of the anchors at a level, in steps of its map; for SSD at the finest level.
        head_norm: whether feature pyramid and heads have group normalisation, which training from scratch needs (He et
            al., "Rethinking ImageNet Pre-training", ICCV 2019).
        freeze_norms: whether batch normalisation of the backbone's own layers keeps weights and statistics.
    """

    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_size: int
    max_size: int
    channels: int
    anchor_scale: float
    head_norm: bool
    freeze_norms: bool

    @property
    def norm_layer(self) -> Callable[[int], nn.Module] | None:
        """What builds the normalisation of so many channels, in groups of eight as torchvision has them; or None."""
        return partial(nn.GroupNorm, max(1, self.channels // 8)) if self.head_norm else None

    @property
    def normalisation(self) -> dict[str, Any]:
        """What torchvision's detectors are told of the values of images."""
        return {"image_mean": list(self.mean), "image_std": list(self.std)}


class StageMaps(nn.Module, ABC):
    """A backbone and the levels that are made of its maps: images (B, C, H, W) to maps by the level's name.

    Args:
        body: the backbone.
        stages: whose ends are read, fine to coarse.

    Attributes:
        bf16: whether the backbone and the levels compute in bfloat16. Heads never do: boxes need more digits.
    """

    def __init__(self, body: Backbone, stages: Sequence[str]) -> None:
        super().__init__()
        self.body, self.paths, self.bf16 = body, [f"{stage}.out" for stage in stages], False
        for path in self.paths:
            body.insert(path, Tap(), TAP)

    @property
    def widths(self) -> list[int]:
        """Channels of the maps that come from the backbone."""
        return [self.body.points[path].channels for path in self.paths]

    @property
    def strides(self) -> list[int]:
        """Image pixels per pixel of these maps."""
        return [self.body.points[path].stride for path in self.paths]

    @abstractmethod
    def levels(self, maps: list[Tensor]) -> "OrderedDict[str, Tensor]":
        """Return the levels by name, fine to coarse, of the stages' maps (B, C, h, w)."""

    def forward(self, x: Tensor) -> "OrderedDict[str, Tensor]":
        with torch.autocast(x.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext():
            taps = self.body.features(x).taps
            levels = self.levels([taps[f"{path}/{TAP}/map"] for path in self.paths])
        return OrderedDict((name, level.float()) for name, level in levels.items())
