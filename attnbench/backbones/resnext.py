"""ResNeXt: Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017, arXiv 1611.05431.

ResNet's bottlenecks with a grouped 3x3 convolution: `cardinality` groups of `base_width` channels in the first stage,
twice as many channels in each further one, independent of the block's output (256 channels in the first stage).
ResNeXt-29 8x64d has 8 groups of 64 channels.

Two layouts, as in ResNet: depths 50, 101, 152 and 200 have four stages, every other depth 9n+2 has three (CIFAR,
section 5.3; shortcuts are 1x1 convolutions with BN where the shape changes). Depth 20 with blocks 1, 1, 1, 3 and
32x4d is the backbone of AttentionNeXt-56 (Wang et al., CVPR 2017).

`stride_in` as in ResNet: torchvision and the CIFAR zoos stride in the 3x3 convolution; the GFLOPs columns of BAM's
tables stride in the first 1x1.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from attnbench.backbones.adapters.torchvision_names import from_torchvision
from attnbench.backbones.layers import Blocks, StemOption, StemPool, StrideIn
from attnbench.backbones.residual_stages import (
    EXPANSION,
    FOUR_STAGES,
    LAYERS,
    StagedNet,
    blocks_per_stage,
    require_stride_in,
)
from attnbench.backbones.resnet import Bottleneck
from attnbench.errors import require

BOTTLENECKS = {
    depth: blocks for depth, blocks in FOUR_STAGES.items() if LAYERS["bottleneck"] * sum(blocks) + 2 == depth
}
"""The four-stage layouts that have bottlenecks."""


def make_bottleneck(
    in_channels: int, width: int, stride: int, at: int, inner: int, of: int, cardinality: int, stride_in: StrideIn
) -> Bottleneck:
    """Build a block of 4 `width` channels, whose 3x3 convolution has `inner` channels for every `of` of `width`."""
    return Bottleneck(in_channels, width, stride, at, "projection", stride_in, inner * width // of, cardinality)


class ResNeXt(StagedNet):
    """ResNeXt-depth cardinality x base_width d.

    Args:
        depth: Layers as counted by the paper.
        cardinality: Groups of the 3x3 convolutions.
        base_width: Channels of a group in the first stage.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        width: Channels of the stem, and a quarter of the first stage's output.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stride_in: `3x3` or `1x1`.
        blocks: `auto`, or the number in each stage, three layers each; `depth` must agree with them.
        stem_pool: Max pooling of the `imagenet` stem: `padded`, or `ceil` as in AttentionNeXt's released files.
    """

    def __init__(
        self,
        depth: int,
        cardinality: int,
        base_width: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 64,
        stem: StemOption = "auto",
        stride_in: StrideIn = "3x3",
        blocks: Blocks = "auto",
        stem_pool: StemPool = "padded",
    ) -> None:
        for key, value in (("cardinality", cardinality), ("base_width", base_width), ("width", width)):
            require(value >= 1, key, value, "must be at least 1")
        require_stride_in(stride_in, "bottleneck")
        counts = blocks_per_stage(depth, "bottleneck", blocks, BOTTLENECKS)
        inner = cardinality * base_width
        super().__init__(
            partial(make_bottleneck, inner=inner, of=width, cardinality=cardinality, stride_in=stride_in),
            EXPANSION["bottleneck"],
            widths=[width * 2**index for index in range(len(counts))],
            counts=counts,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=width,
            stem_pool=stem_pool,
        )

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return from_torchvision(state)
