"""What BAM is compared with in its table 1c: one more block of the backbone's own kind wherever BAM would stand.

Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv 1807.06514. The block keeps the stage's
width and resolution, so its shortcut is the identity. It is no attention: it tells how much of a gain is depth.
"""

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.errors import OptionError


class ExtraBlock(Attention):
    """One more block at every bottleneck of a backbone: before each downsampling."""

    def attach(self, backbone: Backbone) -> None:
        if not backbone.bottlenecks:
            raise OptionError("_target_", "ExtraBlock", "this backbone has no bottlenecks to stand at")
        for point in backbone.bottlenecks:
            backbone.insert(point, backbone.make_block(point.removesuffix(".out")), "extra_block")
