"""ResNet: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385.

Two layouts. Depths 18, 34, 50, 101, 152 and 200 have four stages of width 64 to 512 (table 1). Every other depth is a
CIFAR network of section 4.2: three stages of width 16 to 64, depth 6n+2 with basic blocks, 9n+2 with bottlenecks.

`stride_in`: where a bottleneck halves the resolution. torchvision and BAM's released code stride in the 3x3
convolution ("v1.5"); the paper's network, and the GFLOPs columns of BAM's tables, stride in the first 1x1.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.backbones.layers import choose_stem, conv1x1, conv3x3, initialise, make_stages, make_stem
from attnbench.errors import OptionError, require, require_choice

IMAGENET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
EXPANSION = {"basic": 1, "bottleneck": 4}


class PadShortcut(nn.Module):
    """Parameter-free shortcut: subsample, then fill new channels with zeros (option A of section 4.2)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


def make_shortcut(kind: str, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Identity where shapes agree, else zero padding (`pad`) or a 1x1 convolution with BN (`projection`)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; points `residual` (before the sum) and `out` (after the last ReLU)."""

    def __init__(self, in_channels: int, width: int, stride: int, at: int, shortcut: str) -> None:
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
    """1x1, 3x3 and 1x1 convolutions with four-fold expansion; points as in `BasicBlock`."""

    def __init__(self, in_channels: int, width: int, stride: int, at: int, shortcut: str, stride_in: str) -> None:
        super().__init__()
        channels = width * EXPANSION["bottleneck"]
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1, self.bn1 = conv1x1(in_channels, width, first), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3x3(width, width, second), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv1x1(width, channels), nn.BatchNorm2d(channels)
        self.shortcut = make_shortcut(shortcut, in_channels, channels, stride)
        self.residual, self.out = Slot(channels, at), Slot(channels, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.residual(self.bn3(self.conv3(y)), taps)
        result: Tensor = self.out(F.relu(y + self.shortcut(x), inplace=True), taps)
        return result


def blocks_per_stage(depth: int, block: str) -> tuple[int, ...]:
    """Number of blocks in each stage. Raises `OptionError` for a depth that no layout has."""
    if depth in IMAGENET_BLOCKS:
        return IMAGENET_BLOCKS[depth]
    layers = 6 if block == "basic" else 9
    require(
        depth > 2 and (depth - 2) % layers == 0,
        "depth",
        depth,
        f"must be {layers}n+2 with {block} blocks (20, 32, 44, 56, 110: basic), or one of "
        + ", ".join(map(str, IMAGENET_BLOCKS)),
    )
    return ((depth - 2) // layers,) * 3


class ResNet(Backbone):
    """ResNet with a CIFAR or an ImageNet stem.

    depth: layers as counted by the paper. block: `basic`, `bottleneck`, or `auto` (bottleneck from depth 50 on in
    the four-stage layout, else basic). width: channels of the first stage, `auto` for the paper's 16 or 64.
    stem: `cifar`, `imagenet`, or `auto` by `image_size`. stride_in: `3x3` or `1x1` (bottlenecks only).
    shortcut: `pad`, `projection`, or `auto` (zero padding for three stages of basic blocks, as in section 4.2).
    """

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        width: int | str = "auto",
        block: str = "auto",
        stem: str = "auto",
        stride_in: str = "3x3",
        shortcut: str = "auto",
    ) -> None:
        super().__init__()
        require_choice("block", block, ("auto", "basic", "bottleneck"))
        require_choice("stride_in", stride_in, ("3x3", "1x1"))
        require_choice("shortcut", shortcut, ("auto", "pad", "projection"))
        four_stages = depth in IMAGENET_BLOCKS
        if block == "auto":
            block = "bottleneck" if four_stages and depth >= 50 else "basic"
        if stride_in == "1x1" and block == "basic":
            raise OptionError("stride_in", stride_in, "basic blocks have no 1x1 convolution to stride in")
        if shortcut == "auto":
            shortcut = "projection" if four_stages or block == "bottleneck" else "pad"
        if width == "auto":
            width = 64 if four_stages else 16
        require(isinstance(width, int) and width >= 1, "width", width, "must be a positive number or auto")
        self.block, self.shortcut, self.stride_in = block, shortcut, stride_in
        counts = blocks_per_stage(depth, block)
        widths = [int(width) * 2**index for index in range(len(counts))]
        kind = choose_stem(stem, image_size)
        self.stem, stride = make_stem(kind, in_channels, int(width), activate=True)
        stages = make_stages(self._block, widths, counts, EXPANSION[block], int(width), stride)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.stages = tuple(stages)
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        self.num_classes, self.image_size = num_classes, image_size
        self.classifier = nn.Linear(widths[-1] * EXPANSION[block], num_classes)
        initialise(self)
        self.register_points()

    def _block(self, in_channels: int, width: int, stride: int, at: int) -> nn.Module:
        if self.block == "basic":
            return BasicBlock(in_channels, width, stride, at, self.shortcut)
        return Bottleneck(in_channels, width, stride, at, self.shortcut, self.stride_in)

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = self.stem(x)
        for stage in self.running_stages:
            x = getattr(self, stage)(x, taps)
        return x

    def make_block(self, stage: str) -> nn.Module:
        channels, stride = self.points[f"{stage}.out"]
        block = self._block(channels, channels // EXPANSION[self.block], 1, stride)
        initialise(block)
        return block
