"""Baselines that attention papers compare with, as timm implements them (extra `timm`).

- SE: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018; two layers with biases, r = 16.
- CBAM: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018.
- ECA: Wang et al., "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks", CVPR 2020.

They refine what a residual block adds, just before it is added: where their papers and timm's own networks put them.
With SE in every block, parameters are those of BAM's table 5.
"""

from collections.abc import Callable
from typing import cast

from torch import nn

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.errors import NotInstalledError, require, require_choice

REFINING = ("se", "ese", "eca", "ecam", "ceca", "gc", "gca", "cbam", "lcbam", "nl")
"""timm's attentions that map (B, C, H, W) of any size to the same shape.

Its others take a convolution's place; `bat` wants sizes in multiples of its blocks; `ge` fails in timm 1.0.31 unless
its options are changed.
"""

WITHOUT_HIDDEN_CHANNELS = ("ese", "eca", "ceca")


class Timm(Attention):
    """An attention of timm's in every residual block.

    name: timm's name, as `timm.layers.create_attn` takes it. reduction r: hidden channels are C/r; None: timm's own
    default, or none for an attention without hidden channels.
    """

    def __init__(self, name: str, reduction: int | None = None) -> None:
        super().__init__()
        require_choice("name", name, REFINING)
        require(reduction is None or reduction >= 1, "reduction", reduction, "must be at least 1")
        self.name, self.reduction = name, reduction

    def attach(self, backbone: Backbone) -> None:
        points = backbone.match("*.block*.residual")
        if not points:
            raise NotImplementedError("this backbone has no residual blocks to refine")
        for point in points:
            backbone.insert(point, self.make(backbone.points[point].channels), self.name)

    def make(self, channels: int) -> nn.Module:
        """Build one module for maps (B, C, H, W)."""
        create_attn = _timm()
        if self.reduction is None:
            return create_attn(self.name, channels)
        none = self.name in WITHOUT_HIDDEN_CHANNELS
        require(not none, "reduction", self.reduction, f"{self.name} has no hidden channels: leave it at null")
        left = f"leaves none of the {channels} channels of a block"
        require(channels >= self.reduction, "reduction", self.reduction, left)
        return create_attn(self.name, channels, rd_ratio=1 / self.reduction, rd_divisor=1)  # exactly C/r


class SE(Timm):
    """Squeeze-and-excitation in every block (BAM's table 5)."""

    def __init__(self, reduction: int = 16) -> None:
        super().__init__("se", reduction)


class CBAM(Timm):
    """CBAM in every block."""

    def __init__(self, reduction: int = 16) -> None:
        super().__init__("cbam", reduction)


class ECA(Timm):
    """ECA in every block; its kernel follows from the channels."""

    def __init__(self) -> None:
        super().__init__("eca")


def _timm() -> Callable[..., nn.Module]:
    try:
        from timm.layers.create_attn import create_attn
    except ImportError as error:
        raise NotInstalledError(
            "this attention is timm's, which is not installed: pip install 'attnbench[timm]'"
        ) from error
    return cast(Callable[..., nn.Module], create_attn)
