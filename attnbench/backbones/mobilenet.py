"""MobileNet: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv 1704.04861, 2017.

Depthwise 3x3 and pointwise 1x1 convolutions, each followed by BN-ReLU (table 1), in four stages of 128 to 1024 channels
behind a stem of a 3x3 convolution and one such block at 64 channels. Each stage's first block halves the resolution.

`alpha`, the width multiplier, scales every layer's channels, rounded down as in BAM's table 3b: at 0.7 it prints 2.30 M
parameters and 0.283 GMACs, as 89, 179, 358 and 716 channels have them (rounded to the nearest number they would have
0.285). rho, the resolution multiplier, is the images' size: 192 pixels take 0.418 GMACs, by the square of the printed
0.569 too, where table 3b has 0.439 (inferred: with the last stage's maps at 7x7 instead of 6x6).

BAM has three modules here, before the convolutions that leave 56x56, 28x28 and 14x14: not where the stem ends. So say
the counts of table 3b. The stem's stride is 1 on small images (`stem=cifar`), as in the CIFAR zoos.
"""

import math
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.backbones.convolutions import Role
from attnbench.backbones.layers import Stage, StemOption, choose_stem, conv1x1, conv3x3, initialise
from attnbench.errors import require

STEM = (32, 64)
"""Channels of the first convolution and of the first block."""
STAGES = ((128, 2), (256, 2), (512, 6), (1024, 2))
"""Channels and blocks of each stage (table 1)."""


class SeparableBlock(nn.Module):
    """Depthwise 3x3 and pointwise 1x1 convolution, each with BN-ReLU; point `out`."""

    roles: Mapping[Role, str] = {"spatial": "depthwise", "projection": "pointwise"}

    def __init__(self, in_channels: int, channels: int, stride: int, at: int) -> None:
        super().__init__()
        self.depthwise = conv3x3(in_channels, in_channels, stride, groups=in_channels)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.pointwise, self.bn2 = conv1x1(in_channels, channels), nn.BatchNorm2d(channels)
        self.out = Slot(channels, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        x = F.relu(self.bn1(self.depthwise(x)), inplace=True)
        x = F.relu(self.bn2(self.pointwise(x)), inplace=True)
        result: Tensor = self.out(x, taps)
        return result


def initialise_separable(module: nn.Module) -> None:
    """Initialise after He et al.; the fan-out of a depthwise convolution is that of one channel, 9."""
    initialise(module)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()))


class MobileNet(Backbone):
    """MobileNet v1.

    Args:
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        alpha: Width multiplier.
        stem: `imagenet` (stride 2), `cifar` (stride 1), or `auto` by `image_size`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 224,
        alpha: float = 1.0,
        stem: StemOption = "auto",
    ) -> None:
        super().__init__()
        require(1 / STEM[0] <= alpha < 64, "alpha", alpha, f"must be in [1/{STEM[0]}, 64)")
        self.num_classes, self.image_size = num_classes, image_size
        first, channels = (int(alpha * width) for width in STEM)
        at = 2 if choose_stem(stem, image_size) == "imagenet" else 1
        layers = (conv3x3(in_channels, first, at), nn.BatchNorm2d(first), nn.ReLU(inplace=True))
        self.stem, self.stem_block = nn.Sequential(*layers), SeparableBlock(first, channels, 1, at)
        self.stem_block.roles = {"spatial": "depthwise"}  # no 1x1 convolution comes before its depthwise one
        for index, (width, count) in enumerate(STAGES, start=1):
            before, channels, at = channels, int(alpha * width), 2 * at
            blocks = [SeparableBlock(before, channels, 2, at)]
            blocks += [SeparableBlock(channels, channels, 1, at) for _ in range(count - 1)]
            self.add_module(f"stage{index}", Stage(blocks, channels, at))
        self.stages = tuple(f"stage{index}" for index in range(1, len(STAGES) + 1))
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        self.classifier = nn.Linear(channels, num_classes)
        initialise_separable(self)
        self.register_points({"stem.out": "stem_block.out"})

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = self.stem_block(self.stem(x), taps)
        for stage in self.running_stages:
            x = getattr(self, stage)(x, taps)
        return x

    def make_block(self, stage: str) -> nn.Module:
        channels, stride = self.points[f"{stage}.out"]
        block = SeparableBlock(channels, channels, 1, stride)
        initialise_separable(block)
        return block
