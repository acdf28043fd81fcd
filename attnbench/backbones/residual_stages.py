"""Base of ResNet and related families: a stem, stages of blocks at decreasing resolution, a classifier."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Taps
from attnbench.backbones.layers import (
    Blocks,
    MakeBlock,
    StemOption,
    StemPool,
    StrideIn,
    choose_stem,
    initialise,
    make_stages,
    make_stem,
)
from attnbench.errors import require, require_choice, require_literal

Block = Literal["basic", "bottleneck"]
BlockOption = Literal["auto", Block]

LAYERS: dict[Block, int] = {"basic": 2, "bottleneck": 3}
"""Weighted layers of a block."""
EXPANSION: dict[Block, int] = {"basic": 1, "bottleneck": 4}
"""Output channels of a block, as a multiple of its width."""
FOUR_STAGES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
"""Depth -> blocks in each of ResNet's four stages (He et al., CVPR 2016, table 1)."""


def blocks_per_stage(
    depth: int, block: Block, blocks: Blocks, four_stages: Mapping[int, tuple[int, ...]] | None = None
) -> tuple[int, ...]:
    """Return the number of blocks in each stage.

    Args:
        depth: Weighted layers of the network: those of all blocks, the stem and the classifier.
        block: Kind of the blocks.
        blocks: The numbers themselves, or `auto`: those of `four_stages` for this depth, else three equal
            stages.
        four_stages: Numbers of blocks by depth.

    Raises:
        OptionError: The depth does not fit.
    """
    layers, named = LAYERS[block], four_stages or {}
    if not isinstance(blocks, str):
        require(len(blocks) > 0 and min(blocks) >= 1, "blocks", blocks, "must be a positive number for each stage")
        own = layers * sum(blocks) + 2
        require(depth == own, "depth", depth, f"must be {own} with blocks={list(blocks)} of {layers} layers each")
        return tuple(blocks)
    require_choice("blocks", blocks, ("auto",))
    if depth in named:
        fits = layers * sum(named[depth]) + 2 == depth
        require(fits, "block", block, f"is not the kind of block that gives {depth} layers in four stages")
        return named[depth]
    examples = ", ".join(str(3 * layers * n + 2) for n in (3, 5, 7, 9))
    others = f", or one of {', '.join(map(str, named))}" if named else ""
    reachable = depth > 2 and (depth - 2) % (3 * layers) == 0
    require(reachable, "depth", depth, f"must be {3 * layers}n+2 with {block} blocks ({examples}, ...){others}")
    return ((depth - 2) // (3 * layers),) * 3


def require_stride_in(stride_in: StrideIn, block: Block) -> None:
    """Raise `OptionError` unless blocks of this kind can halve the resolution in that convolution."""
    require_literal("stride_in", stride_in, StrideIn)
    possible = stride_in == "3x3" or block == "bottleneck"
    require(possible, "stride_in", stride_in, "basic blocks have no 1x1 convolution to stride in")


class StagedNet(Backbone):
    """A stem, stages of blocks, a classifier.

    A network of pre-activation blocks (`preactivated`) has one more BN, `bn`, for the sum at the end of its last stage.
    Its blocks have a point `pre`; that of stage N's first block, which its branches share, is called `stageN.pre`.

    Args:
        make: Builds a block.
        expansion: Output channels of a block, as a multiple of its width.
        widths: Width of each stage's blocks.
        counts: Number of each stage's blocks.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stem_width: Channels of the stem.
        stem_pool: Max pooling of the `imagenet` stem: `padded` or `ceil`.
    """

    def __init__(
        self,
        make: MakeBlock,
        expansion: int,
        widths: Sequence[int],
        counts: Sequence[int],
        num_classes: int,
        in_channels: int,
        image_size: int,
        stem: StemOption,
        stem_width: int,
        stem_pool: StemPool = "padded",
    ) -> None:
        super().__init__()
        self.make, self.expansion = make, expansion
        self.num_classes, self.image_size = num_classes, image_size
        kind = choose_stem(stem, image_size)
        self.stem, stride = make_stem(kind, in_channels, stem_width, not self.preactivated, stem_pool)
        stages = make_stages(make, widths, counts, expansion, stem_width, stride)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.stages = tuple(stages)
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        if self.preactivated:
            self.bn = nn.BatchNorm2d(widths[-1] * expansion)
        self.classifier = nn.Linear(widths[-1] * expansion, num_classes)
        initialise(self)
        shared = self.stages if self.preactivated else ()
        self.register_points({f"{stage}.pre": f"{stage}.block0.pre" for stage in shared})

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = self.stem(x)
        for stage in self.running_stages:
            x = getattr(self, stage)(x, taps)
        return x

    def make_block(self, stage: str) -> nn.Module:
        channels, stride = self.points[f"{stage}.out"]
        block = self.make(channels, channels // self.expansion, 1, stride)
        initialise(block)
        return block
