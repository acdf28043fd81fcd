"""Base of the variants that refine what each residual block adds to its shortcut: SE, CBAM, ECA, timm's."""

from torch import nn

from attnbench.attention.base import Attention, reduced_channels
from attnbench.backbones.base import Backbone

RESIDUALS = "*.block*.residual"
"""Points at the end of the residual branch, just before the sum."""


def rounded_channels(channels: int, reduction: int) -> int:
    """Return C/r rounded to the nearest number, as timm does; BAM's rounds down (`reduced_channels`).

    Raises `OptionError` for `reduction` if r < 1 or r > C.
    """
    reduced_channels(channels, reduction)
    return int(channels * (1 / reduction) + 0.5)


class PerBlockAttention(Attention):
    """One module in every residual block, just before its sum: where SE (figure 3 of its paper) and CBAM stand.

    A subclass names the inserted modules and builds one:

        class SE(PerBlockAttention):
            name = "se"

            def make(self, channels: int) -> nn.Module:
                return SEModule(channels)
    """

    name: str
    """Name of the inserted modules: `stage1.block0.residual.<name>`."""

    def make(self, channels: int) -> nn.Module:
        """Build one module that maps (B, C, H, W), C = `channels`, to the same shape."""
        raise NotImplementedError

    def attach(self, backbone: Backbone) -> None:
        points = backbone.match(RESIDUALS)
        if not points:
            raise NotImplementedError("this backbone has no residual blocks to refine")
        for point in points:
            backbone.insert(point, self.make(backbone.points[point].channels), self.name)
