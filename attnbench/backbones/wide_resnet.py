"""Wide ResNets for ImageNet: ResNets of He et al., CVPR 2016, with wider stages behind the same 64-channel stem.

Bottlenecks (depth 50, 101, 152, 200): only the 3x3 convolution is widened, so that WRN-50-2 has ResNet-50's points
(Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, section 3.4; torchvision's `wide_resnet50_2`).

Basic blocks (depth 18, 34): both 3x3 convolutions are, and with them what the stages put out. BAM's table 3b has such
a "WideResNet18" at 1.5 and 2.0 and says no more; its parameters and multiply-adds are those of stages of 96 to 768 and
of 128 to 1024 channels. With a stem of 96 or 128 channels they would be 25.90 M, 3.99 G and 45.69 M, 7.02 G.

The pre-activation networks of CIFAR, WRN-28-10 among them, are in wrn.py.
"""

import math
from functools import partial
from typing import Literal

from attnbench.backbones.layers import MakeBlock, StemOption, StrideIn
from attnbench.backbones.residual_stages import EXPANSION, FOUR_STAGES, Block, StagedNet, require_stride_in
from attnbench.backbones.resnet import BasicBlock
from attnbench.backbones.resnext import BOTTLENECKS, make_bottleneck
from attnbench.errors import require, require_literal

Depth = Literal[18, 34, 50, 101, 152, 200]


class WideImageNetResNet(StagedNet):
    """ResNet-depth, `factor` times as wide.

    Args:
        depth: 18, 34, 50, 101, 152 or 200.
        factor: Multiplies the 3x3 convolutions' channels, rounded down.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        width: Channels of the stem, and of the first stage before widening.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stride_in: `3x3` or `1x1` (bottlenecks only).
    """

    def __init__(
        self,
        depth: Depth,
        factor: float,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 224,
        width: int = 64,
        stem: StemOption = "auto",
        stride_in: StrideIn = "3x3",
    ) -> None:
        require_literal("depth", depth, Depth)
        require(width >= 1, "width", width, "must be at least 1")
        require(0 < factor < math.inf, "factor", factor, "must be a positive number")
        wide = int(width * factor)
        require(wide >= 1, "factor", factor, f"leaves none of the {width} channels of the first stage")
        block: Block = "bottleneck" if depth in BOTTLENECKS else "basic"
        require_stride_in(stride_in, block)
        make: MakeBlock = partial(BasicBlock, shortcut="projection")
        if block == "bottleneck":
            make = partial(make_bottleneck, inner=wide, of=width, cardinality=1, stride_in=stride_in)
        first = width if block == "bottleneck" else wide
        super().__init__(
            make,
            EXPANSION[block],
            widths=[first * 2**index for index in range(4)],
            counts=FOUR_STAGES[depth],
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=width,
        )
