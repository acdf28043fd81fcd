"""ResNet: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385.

Two layouts. Depths 18, 34, 50, 101, 152 and 200 have four stages of width 64 to 512 (table 1). Every other depth is a
CIFAR network of section 4.2: three stages of width 16 to 64, depth 6n+2 with basic blocks, 9n+2 with bottlenecks.

`stride_in`: where a bottleneck halves the resolution. torchvision and BAM's released code stride in the 3x3
convolution ("v1.5"); the paper's network, and the GFLOPs columns of BAM's tables, stride in the first 1x1.
"""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.adapters.torchvision_names import from_torchvision
from attnbench.backbones.base import Slot, Taps
from attnbench.backbones.convolutions import Role
from attnbench.backbones.layers import MakeBlock, StemOption, StrideIn, conv1x1, conv3x3
from attnbench.backbones.pooling import subsample
from attnbench.backbones.residual_stages import (
    EXPANSION,
    FOUR_STAGES,
    BlockOption,
    StagedNet,
    blocks_per_stage,
    require_stride_in,
)
from attnbench.errors import require, require_literal

Shortcut = Literal["pad", "projection"]
ShortcutOption = Literal["auto", Shortcut]


class PadShortcut(nn.Module):
    """Parameter-free shortcut: subsample, then fill new channels with zeros (option A of section 4.2)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(subsample(x, self.stride), (0, 0, 0, 0, self.before, self.after))


def make_shortcut(kind: Shortcut, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build a shortcut: identity where shapes agree, else zero padding (`pad`) or 1x1 convolution-BN (`projection`)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; points `residual` (before the sum) and `out` (after the last ReLU)."""

    roles: ClassVar[Mapping[Role, str]] = {"spatial": "conv2"}

    def __init__(self, in_channels: int, width: int, stride: int, at: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(in_channels, width, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3x3(width, width), nn.BatchNorm2d(width)
        self.shortcut = make_shortcut(shortcut, in_channels, width, stride)
        self.residual, self.out = Slot(width, at), Slot(width, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.residual(self.bn2(self.conv2(y)), taps)
        result: Tensor = self.out(F.relu(y + self.shortcut(x), inplace=True), taps)
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with four-fold expansion; points as in `BasicBlock`.

    Args:
        in_channels: Channels of the input.
        width: A quarter of the output's channels.
        stride: Of the block.
        at: Stride of the output in image pixels.
        shortcut: `pad` or `projection`, where shapes differ.
        stride_in: Convolution that strides: `3x3` or the first `1x1`.
        inner: Channels of the 3x3 convolution, if not `width`.
        cardinality: Groups of the 3x3 convolution.
    """

    roles: ClassVar[Mapping[Role, str]] = {"spatial": "conv2"}

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        at: int,
        shortcut: Shortcut,
        stride_in: StrideIn,
        inner: int | None = None,
        cardinality: int = 1,
    ) -> None:
        super().__init__()
        channels, inner = width * EXPANSION["bottleneck"], inner or width
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1, self.bn1 = conv1x1(in_channels, inner, first), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = conv3x3(inner, inner, second, cardinality), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv1x1(inner, channels), nn.BatchNorm2d(channels)
        self.shortcut = make_shortcut(shortcut, in_channels, channels, stride)
        self.residual, self.out = Slot(channels, at), Slot(channels, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.residual(self.bn3(self.conv3(y)), taps)
        result: Tensor = self.out(F.relu(y + self.shortcut(x), inplace=True), taps)
        return result


class ResNet(StagedNet):
    """ResNet with a CIFAR or an ImageNet stem.

    Args:
        depth: Layers as counted by the paper.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        width: Channels of the stem, and width of the first stage; `auto` for the paper's 16 or 64.
        block: `basic`, `bottleneck`, or `auto`: bottleneck from depth 50 on in the four-stage layout, else
            basic.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stride_in: `3x3` or `1x1` (bottlenecks only).
        shortcut: `pad`, `projection`, or `auto`: padding for three stages of basic blocks, as in section 4.2.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        width: int | Literal["auto"] = "auto",
        block: BlockOption = "auto",
        stem: StemOption = "auto",
        stride_in: StrideIn = "3x3",
        shortcut: ShortcutOption = "auto",
    ) -> None:
        require_literal("block", block, BlockOption)
        require_literal("shortcut", shortcut, ShortcutOption)
        four_stages = depth in FOUR_STAGES
        if block == "auto":
            block = "bottleneck" if four_stages and depth >= 50 else "basic"
        require_stride_in(stride_in, block)
        if shortcut == "auto":
            shortcut = "projection" if four_stages or block == "bottleneck" else "pad"
        if width == "auto":
            width = 64 if four_stages else 16
        require(isinstance(width, int) and width >= 1, "width", width, "must be a positive number or auto")
        counts = blocks_per_stage(depth, block, "auto", FOUR_STAGES)
        make: MakeBlock = partial(BasicBlock, shortcut=shortcut)
        if block == "bottleneck":
            make = partial(Bottleneck, shortcut=shortcut, stride_in=stride_in)
        super().__init__(
            make,
            EXPANSION[block],
            widths=[int(width) * 2**index for index in range(len(counts))],
            counts=counts,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=int(width),
        )

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return from_torchvision(state)
