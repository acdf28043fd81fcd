"""Base of the variants that refine a network's maps with one module a block: SE, CBAM, ECA, …, timm's."""

from typing import Literal

from torch import Tensor, nn

from attnbench.attention.base import Attention, Output, extras_by_point, reduced_channels
from attnbench.backbones.base import Backbone
from attnbench.errors import OptionError, require, require_literal

Placement = Literal["auto", "residual", "block", "stage"]
RESIDUALS, GROWN = "*.block*.residual", "*.block*.grown"
"""What blocks add: the end of the residual branch, just before the sum; the maps that a layer of DenseNet appends."""


def rounded_channels(channels: int, reduction: int) -> int:
    """Return C/r rounded to the nearest number, as timm does; BAM's rounds down (`reduced_channels`).

    Raises `OptionError` for `reduction` if r < 1 or r > C.
    """
    reduced_channels(channels, reduction)
    return int(channels * (1 / reduction) + 0.5)


def find_points(backbone: Backbone, placement: Placement) -> list[str]:
    """Return the points of a placement in forward order.

    `auto`: what residual blocks add, just before the sum, where SE (figure 3 of its paper) and CBAM stand. In networks
    without residual blocks: the ends of blocks; where there are none, or blocks append maps to their input as
    DenseNet's do, the ends of stages.

    Raises:
        OptionError: The backbone has no such points.
    """
    residuals, grown, blocks = (backbone.match(pattern) for pattern in (RESIDUALS, GROWN, "*.block*.out"))
    stages = [f"{stage}.out" for stage in backbone.stages]
    if placement == "auto":
        return residuals or (blocks if blocks and not grown else stages)
    points = {"residual": residuals or grown, "block": blocks, "stage": stages}[placement]
    if not points:
        raise OptionError("placement", placement, "this backbone has no such points: leave it at auto")
    return points


class PerBlockAttention(Attention):
    """One module in every residual block, just before its sum, or where `placement` says.

    A method whose authors have its modules elsewhere names those places in `authors_points`.

    A subclass names the inserted modules and builds one:

        class SE(PerBlockAttention):
            name = "se"

            def make(self, channels: int) -> nn.Module:
                return SEModule(channels)

    Args:
        placement: `residual` (what a block adds), `block` or `stage` (their ends), or `auto`: where the authors'
            networks have the module, if this backbone has such places, else by the backbone (see `find_points`).
    """

    name: str
    """Name of the inserted modules: `stage1.block0.residual.<name>`."""

    def __init__(self, placement: Placement = "auto") -> None:
        super().__init__()
        require_literal("placement", placement, Placement)
        self.placement: Placement = placement

    def make(self, channels: int) -> nn.Module:
        """Build one module that maps (B, C, H, W), C = `channels`, to the same shape."""
        raise NotImplementedError

    def authors_points(self, backbone: Backbone) -> list[str]:
        """Return the points where the authors' networks have the module; empty if this backbone has no such places.

        By default empty: the method stands where `find_points` says.
        """
        del backbone
        return []

    def points(self, backbone: Backbone) -> list[str]:
        """Return the points at which modules are inserted."""
        authors = self.authors_points(backbone) if self.placement == "auto" else []
        return authors or find_points(backbone, self.placement)

    def attach(self, backbone: Backbone) -> None:
        for point in self.points(backbone):
            backbone.insert(point, self.make(backbone.point(point).channels), self.name)

    def map_of(self, extras: dict[str, Tensor]) -> Tensor | None:
        """Return the attention map (B, K, H, W) of one module from its extras, None if it has none to show."""
        del extras
        return None

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return the map of each module by its point."""
        found = {point: self.map_of(extras) for point, extras in extras_by_point(output, self.name).items()}
        return {point: values for point, values in found.items() if values is not None}


class ReducingAttention(PerBlockAttention):
    """A module of C/r hidden channels in every block; a subclass names its class and the default of r.

    Args:
        reduction: r.
        placement: see `PerBlockAttention`.
    """

    module: type[nn.Module]
    """Built of C and r."""

    def __init__(self, reduction: int, placement: Placement = "auto") -> None:
        super().__init__(placement)
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        self.reduction = reduction

    def make(self, channels: int) -> nn.Module:
        return self.module(channels, self.reduction)
