"""DenseNet-BC: Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", CVPR 2017,
arXiv 1608.06993.

Each layer BN-ReLU-1x1 (4k channels), BN-ReLU-3x3 (k channels) reads all maps before it in its stage and appends its k,
the growth; between stages a transition, BN-ReLU-1x1 and 2x2 average pooling, keeps half of the channels (section 3).

Two layouts. Depths 121, 169, 201 and 161 have four stages (table 1; k = 32, of DenseNet-161 48). Every other depth is a
CIFAR network of three equal stages, 6n+4 layers (section 4.2). The stem has 2k channels.

Stages return raw maps, which the next layer normalises: the network is pre-activated. A transition's BN-ReLU
is the point `stageN.pre` of the stage that follows. BAM stands before and after each transition (caption of its table
3), at `transitionN.in` and `transitionN.out`. No layer maps a stage's shape to itself: `make_block` has none to build.

There is no dropout: the paper uses none where images are augmented.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.backbones.layers import Blocks, Stage, StemOption, choose_stem, conv1x1, conv3x3, initialise, make_stem
from attnbench.errors import require, require_choice

FOUR_STAGES = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
"""Depth -> layers in each dense stage (table 1)."""
BOTTLENECK = 4
"""Channels of a layer's 1x1 convolution, as a multiple of the growth."""


def layers_per_stage(depth: int, blocks: Blocks) -> tuple[int, ...]:
    """Return the number of dense layers in each stage: as given, as in table 1, or three equal stages.

    Raises `OptionError` for a depth that does not fit.
    """
    if not isinstance(blocks, str):
        require(len(blocks) > 0 and min(blocks) >= 1, "blocks", blocks, "must be a positive number for each stage")
        own = 2 * sum(blocks) + len(blocks) + 1
        require(depth == own, "depth", depth, f"must be {own} with blocks={list(blocks)} of 2 layers each")
        return tuple(blocks)
    require_choice("blocks", blocks, ("auto",))
    if depth in FOUR_STAGES:
        return FOUR_STAGES[depth]
    named = ", ".join(map(str, FOUR_STAGES))
    reachable = depth > 4 and (depth - 4) % 6 == 0
    require(reachable, "depth", depth, f"must be 6n+4 (40, 100, 190, 250, ...), or one of {named}")
    return ((depth - 4) // 6,) * 3


class DenseLayer(nn.Module):
    """Appends `growth` maps; points `grown` (those maps) and `out` (all)."""

    def __init__(self, in_channels: int, growth: int, at: int) -> None:
        super().__init__()
        inner = BOTTLENECK * growth
        self.bn1, self.conv1 = nn.BatchNorm2d(in_channels), conv1x1(in_channels, inner)
        self.bn2, self.conv2 = nn.BatchNorm2d(inner), conv3x3(inner, growth)
        self.grown, self.out = Slot(growth, at), Slot(in_channels + growth, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x), inplace=True))
        y = self.conv2(F.relu(self.bn2(y), inplace=True))
        result: Tensor = self.out(torch.cat([x, self.grown(y, taps)], 1), taps)
        return result


class Transition(nn.Module):
    """Halves channels and resolution; points `in` (here `before`), `pre` (after BN-ReLU) and `out`."""

    def __init__(self, in_channels: int, at: int) -> None:
        super().__init__()
        out_channels = in_channels // 2
        self.before = Slot(in_channels, at)  # `in`, a word of Python's grammar, makes torch.compile fail
        self.bn, self.pre = nn.BatchNorm2d(in_channels), Slot(in_channels, at)
        self.conv, self.out = conv1x1(in_channels, out_channels), Slot(out_channels, 2 * at)

    def preactivate(self, x: Tensor, taps: Taps | None) -> Tensor:
        """Return the BN-ReLU of (B, C, H, W)."""
        x = self.bn(self.before(x, taps))
        pre: Tensor = self.pre(F.relu(x, inplace=True), taps)
        return pre

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        x = self.conv(self.preactivate(x, taps))
        result: Tensor = self.out(F.avg_pool2d(x, 2), taps)
        return result


class DenseNet(Backbone):
    """DenseNet-BC-depth with compression 0.5.

    Args:
        depth: Layers: 121, 161, 169, 201 or 6n+4.
        growth: k, the maps that a layer appends.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        blocks: `auto`, or dense layers in each stage, with which `depth` must agree: two convolutions each, one
            a transition, the stem and the classifier.
    """

    preactivated = True

    def __init__(
        self,
        depth: int,
        growth: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        stem: StemOption = "auto",
        blocks: Blocks = "auto",
    ) -> None:
        super().__init__()
        require(growth >= 1, "growth", growth, "must be at least 1")
        counts = layers_per_stage(depth, blocks)
        self.num_classes, self.image_size = num_classes, image_size
        channels = 2 * growth
        self.stem, at = make_stem(choose_stem(stem, image_size), in_channels, channels, activate=False)
        for index, count in enumerate(counts, start=1):
            if index > 1:
                self.add_module(f"transition{index - 1}", Transition(channels, at))
                channels, at = channels // 2, 2 * at
            layers = [DenseLayer(channels + growth * layer, growth, at) for layer in range(count)]
            channels += growth * count
            self.add_module(f"stage{index}", Stage(layers, channels, at))
        self.stages = tuple(f"stage{index}" for index in range(1, len(counts) + 1))
        self.bottlenecks = tuple(
            f"transition{index}.{side}" for index in range(1, len(counts)) for side in ("in", "out")
        )
        self.bn, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, num_classes)
        initialise(self)
        between = range(1, len(counts))
        self.register_points(
            {f"transition{index}.in": f"transition{index}.before" for index in between}
            | {f"stage{index + 1}.pre": f"transition{index}.pre" for index in between}
        )

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = self.stem(x)
        running = self.running_stages
        for index, stage in enumerate(running):
            if index > 0:
                x = getattr(self, f"transition{index}")(x, taps)
            x = getattr(self, stage)(x, taps)
        if len(running) < len(self.stages):  # an early exit ends with the activation that follows
            transition: Transition = getattr(self, f"transition{len(running)}")
            return transition.preactivate(x, taps)
        return F.relu(self.bn(x), inplace=True)
