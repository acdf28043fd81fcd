"""Attentions of timm in every block: `attention=timm/gc` (extra `timm`).

They keep timm's defaults and parameter names. `se`, `cbam` and `eca` exist here as well (se.py, cbam.py, eca.py),
with equal values and without timm.
"""

from collections.abc import Callable
from typing import Literal, cast

from torch import nn

from attnbench.attention.per_block import PerBlockAttention, Placement
from attnbench.errors import NotInstalledError, OptionError, require, require_literal

TimmName = Literal[
    "se", "ese", "eca", "ecam", "ceca", "gc", "gca", "cbam", "lcbam", "coord", "scoord", "ela", "strip", "nl"
]  # fmt: skip
"""timm's attentions that map (B, C, H, W) of any size to the same shape.

The others replace a convolution, need sizes in multiples of their blocks (`bat`), or fail in timm 1.0.31 under default
options (`ge`).
"""

SCALED = ("coord", "scoord")
"""Attentions that timm gives 2/3 of C/r hidden channels by default."""
WITHOUT_HIDDEN_CHANNELS = ("ese", "eca", "ceca", "ela", "strip")


class TimmAttention(PerBlockAttention):
    """An attention of timm in every block.

    Args:
        name: timm's name, as `timm.layers.create_attn` takes it.
        reduction: r; hidden channels are C/r, rounded to the nearest number. None: timm's own default.
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).

    Raises:
        OptionError: Unknown name, r below 1, or r for an attention without hidden channels.
        NotInstalledError: timm is not installed (raised when attached).
    """

    name: TimmName

    def __init__(self, name: TimmName, reduction: int | None = None, placement: Placement = "auto") -> None:
        super().__init__(placement)
        require_literal("name", name, TimmName)
        require(reduction is None or reduction >= 1, "reduction", reduction, "must be at least 1")
        if reduction is not None and name in WITHOUT_HIDDEN_CHANNELS:
            raise OptionError("reduction", reduction, f"{name} has no hidden channels: leave it at null")
        self.name, self.reduction = name, reduction

    def make(self, channels: int) -> nn.Module:
        create_attn = _import_create_attn()
        if self.reduction is None:
            return create_attn(self.name, channels)
        left = f"leaves none of the {channels} channels of a block"
        require(channels >= self.reduction, "reduction", self.reduction, left)
        options: dict[str, float] = {"rd_ratio": 1 / self.reduction, "rd_divisor": 1}
        if self.name in SCALED:
            options["se_factor"] = 1
        return create_attn(self.name, channels, **options)


def _import_create_attn() -> Callable[..., nn.Module]:
    try:
        from timm.layers.create_attn import create_attn
    except ImportError as error:
        raise NotInstalledError(
            "this attention is timm's, which is not installed: pip install 'attnbench[timm]'"
        ) from error
    return cast(Callable[..., nn.Module], create_attn)
