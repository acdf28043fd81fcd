"""Wide residual networks: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, arXiv 1605.07146.

WRN-d-k is the pre-activation network of basic blocks with depth d = 6n+4 (the projections count as layers), a stem of
16 channels and stages of width 16k, 32k and 64k, optionally with dropout between the two convolutions of a block.
"""

from attnbench.backbones.layers import StemOption
from attnbench.backbones.preact_resnet import PreActNet
from attnbench.errors import require


class WideResNet(PreActNet):
    """WRN-depth-width.

    Args:
        depth: 6n+4.
        width: The widening factor k.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        dropout: Probability of dropping between a block's convolutions.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stem_width: Channels of the stem, and of the first stage before widening.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        dropout: float = 0.0,
        stem: StemOption = "auto",
        stem_width: int = 16,
    ) -> None:
        require(depth >= 10 and (depth - 4) % 6 == 0, "depth", depth, "must be 6n+4 (10, 16, 22, 28, 40)")
        require(width >= 1, "width", width, "must be at least 1")
        require(0 <= dropout < 1, "dropout", dropout, "must be in [0, 1)")
        require(stem_width >= 1, "stem_width", stem_width, "must be at least 1")
        base = stem_width * width
        super().__init__(
            widths=(base, 2 * base, 4 * base),
            counts=((depth - 4) // 6,) * 3,
            block="basic",
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=stem_width,
            dropout=dropout,
        )
