"""Pre-activation ResNet: He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv 1603.05027.

Three stages of width 16, 32, 64 for CIFAR; depth 6n+2 with basic blocks, 9n+2 with bottlenecks (ResNet-164 and -1001).
The network that BAM's tables call "PreResNet110" is the bottleneck network with 18 blocks a stage, that is depth 164.

Where the shape changes, the shortcut is a 1x1 convolution without BN; it reads the shared pre-activation, as in the
paper's code and in Residual Attention's prototxt (`shortcut_input=raw`: the unnormalised input, as in the CIFAR zoo
that BAM's authors evidently used; the counts are the same).

A bottleneck halves the resolution in its 3x3 convolution, as in torchvision's networks and in Residual Attention's
prototxt. `stride_in=1x1`: in its first 1x1 convolution, as in the authors' code for ResNet-164 and -1001 (244.5 M
multiply-adds instead of 247.6 M at depth 164), and as the multiply-adds of BAM's tables show.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Slot, Taps
from attnbench.backbones.convolutions import Role
from attnbench.backbones.layers import Blocks, StemOption, StemPool, StrideIn, conv1x1, conv3x3
from attnbench.backbones.residual_stages import (
    EXPANSION,
    Block,
    BlockOption,
    StagedNet,
    blocks_per_stage,
    require_stride_in,
)
from attnbench.errors import require, require_literal

ShortcutInput = Literal["preactivation", "raw"]
"""Input of a projection shortcut: the shared pre-activation, or the unnormalised map before it."""


class PreActBlock(nn.Module):
    """A residual unit whose convolutions each follow BN-ReLU.

    Points: `pre` (after the first BN-ReLU, before any stride), `residual` (before the sum), `out` (the raw sum).
    """

    roles: ClassVar[Mapping[Role, str]] = {"spatial": "conv2"}

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        at: int,
        block: Block,
        stride_in: StrideIn = "3x3",
        shortcut_input: ShortcutInput = "preactivation",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels = width * EXPANSION[block]
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.pre = Slot(in_channels, at // stride)
        if block == "basic":
            self.conv1, self.bn2 = conv3x3(in_channels, width, stride), nn.BatchNorm2d(width)
            self.conv2 = conv3x3(width, width)
        else:
            first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
            self.conv1, self.bn2 = conv1x1(in_channels, width, first), nn.BatchNorm2d(width)
            self.conv2, self.bn3 = conv3x3(width, width, second), nn.BatchNorm2d(width)
            self.conv3 = conv1x1(width, channels)
        self.dropout, self.bottleneck = dropout, block == "bottleneck"
        self.project = stride != 1 or in_channels != channels
        self.shared = shortcut_input == "preactivation"
        if self.project:
            self.shortcut = conv1x1(in_channels, channels, stride)
        self.residual, self.out = Slot(channels, at), Slot(channels, at)

    def preactivate(self, x: Tensor, taps: Taps | None) -> Tensor:
        """Return the first BN-ReLU of (B, C, H, W), which both branches may read."""
        pre: Tensor = self.pre(F.relu(self.bn1(x), inplace=True), taps)
        return pre

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        pre = self.preactivate(x, taps)
        y = F.relu(self.bn2(self.conv1(pre)), inplace=True)
        if self.dropout > 0:
            y = F.dropout(y, self.dropout, self.training)
        y = self.conv2(y)
        if self.bottleneck:
            y = self.conv3(F.relu(self.bn3(y), inplace=True))
        if self.project:
            x = self.shortcut(pre if self.shared else x)
        result: Tensor = self.out(self.residual(y, taps) + x, taps)
        return result


class PreActNet(StagedNet):
    """Pre-activation network; arguments as in `StagedNet` and `PreActBlock`.

    Attend and Rectify reads its points `stageN.pre`.
    """

    preactivated = True

    def __init__(
        self,
        widths: Sequence[int],
        counts: Sequence[int],
        block: Block,
        num_classes: int,
        in_channels: int,
        image_size: int,
        stem: StemOption,
        stem_width: int,
        stride_in: StrideIn = "3x3",
        shortcut_input: ShortcutInput = "preactivation",
        dropout: float = 0.0,
        stem_pool: StemPool = "padded",
    ) -> None:
        make = partial(PreActBlock, block=block, stride_in=stride_in, shortcut_input=shortcut_input, dropout=dropout)
        images = (num_classes, in_channels, image_size)
        super().__init__(make, EXPANSION[block], widths, counts, *images, stem, stem_width, stem_pool)

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = super().trunk(x, taps)
        following = self.stages[len(self.running_stages) :]
        if following:  # an early exit ends with the activation that the next stage would begin with
            first: PreActBlock = getattr(self, following[0]).block0
            return first.preactivate(x, taps)
        return F.relu(self.bn(x), inplace=True)


class PreActResNet(PreActNet):
    """Pre-activation ResNet.

    Args:
        depth: Layers, 6n+2 (basic) or 9n+2 (bottleneck).
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        width: Channels of the stem and of the first stage's 3x3 convolutions; it doubles from stage to stage.
        block: `basic`, `bottleneck`, or `auto`: bottleneck from depth 164 on, as in the paper.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stride_in: Convolution that strides: `3x3` or the first `1x1` (bottlenecks only).
        shortcut_input: `preactivation` or `raw`.
        blocks: `auto` for three equal stages, or the number in each stage, with which `depth` must agree:
            Residual Attention's ImageNet networks have depth 20 with 1, 1, 1, 3.
        stem_pool: Max pooling of the `imagenet` stem: `padded`, or `ceil` as in Residual Attention's released files.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 16,
        block: BlockOption = "auto",
        stem: StemOption = "auto",
        stride_in: StrideIn = "3x3",
        shortcut_input: ShortcutInput = "preactivation",
        blocks: Blocks = "auto",
        stem_pool: StemPool = "padded",
    ) -> None:
        require_literal("block", block, BlockOption)
        require_literal("shortcut_input", shortcut_input, ShortcutInput)
        require(width >= 1, "width", width, "must be a positive number")
        if block == "auto":
            block = "bottleneck" if depth >= 164 else "basic"
        require_stride_in(stride_in, block)
        counts = blocks_per_stage(depth, block, blocks)
        super().__init__(
            widths=[width * 2**index for index in range(len(counts))],
            counts=counts,
            block=block,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=width,
            stride_in=stride_in,
            shortcut_input=shortcut_input,
            stem_pool=stem_pool,
        )
