"""Wide residual networks: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, arXiv 1605.07146.

WRN-d-k is the pre-activation network of basic blocks with depth d = 6n+4 (the projections count as layers), a stem of
16 channels and stages of width 16k, 32k and 64k, with dropout between the two convolutions of a block if wanted.
"""

from attnbench.backbones.preact_resnet import PreActNet
from attnbench.errors import require


class WideResNet(PreActNet):
    """WRN-depth-width.

    depth: 6n+4. width: the widening factor k. dropout: probability of dropping between a block's convolutions.
    stem_width: channels of the stem, and of the first stage before widening.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        dropout: float = 0.0,
        stem: str = "auto",
        stem_width: int = 16,
    ) -> None:
        require(depth >= 10 and (depth - 4) % 6 == 0, "depth", depth, "must be 6n+4 (10, 16, 22, 28, 40)")
        require(width >= 1, "width", width, "must be at least 1")
        require(0 <= dropout < 1, "dropout", dropout, "must lie in [0, 1)")
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
