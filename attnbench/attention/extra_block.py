"""The baseline of BAM's table 1c: one more block of the backbone's own kind wherever BAM would stand.

Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv 1807.06514.

The block keeps the stage's width and resolution, so its shortcut is the identity. It is no attention: it shows how much
of a gain comes from depth alone.

Inferred: the paper does not describe the block. The parameters that table 1c prints (1.46, 1.48 and 2.8 M more) are
those of the blocks inserted here. Their weights are drawn like those of the backbone's other blocks.
"""

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.errors import OptionError


class ExtraBlock(Attention):
    """One more block at every bottleneck of a backbone, that is before each downsampling; it has no options."""

    def attach(self, backbone: Backbone) -> None:
        if not backbone.bottlenecks:
            raise OptionError("_target_", "ExtraBlock", "this backbone has no bottlenecks to insert blocks at")
        for point in backbone.bottlenecks:
            backbone.insert(point, backbone.make_block(point.removesuffix(".out")), "extra_block")
