"""BAM: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv 1807.06514.

    F' = F + F * M(F)                            eq. 1
    M(F) = sigmoid(Mc(F) + Ms(F))                eq. 2, both branches broadcast to (B, C, H, W)
    Mc(F) = BN(W1 (W0 AvgPool(F) + b0) + b1)     eq. 3
    Ms(F) = BN(f1x1(f3x3(f3x3(f1x1(F)))))        eq. 4, the 3x3 convolutions dilated; r = 16, d = 4 (figure 2)

The released code (Jongchan/attention-module, 459efad) differs; `variant=official` follows it:

- it multiplies the branches; the paper adds them (its product column in table 1b is 0.21 points worse);
- batch normalisation follows every hidden layer, with ReLU, and not the branches' last layer;
- its average pooling has a square window of side H: on 8x12 maps it reads the left 8x8 part, on taller ones it
  crashes. Ours averages over the whole map in both variants;
- it cannot train on a batch of one, nor be constructed at all (an undefined name); both work here.

Weights under the released names load: bam_released.py.

Ours: the paper prints no activation between layers. As hidden layers would otherwise collapse into one linear map,
ReLU follows each of them, as in the released code. A fresh BAM is never the identity: its gain is near 1.5.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnbench.attention.base import VARIANTS, Attention, ModuleOutput, Output
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import BatchNorm1d, BatchNorm2d, initialise
from attnbench.errors import OptionError, require, require_choice

BRANCHES = ("both", "channel", "spatial")
PLACEMENTS = ("bottleneck", "block")
COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "product": torch.mul,
    "max": torch.maximum,
}
GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class ChannelBranch(nn.Sequential):
    """Mc: (B, C, H, W) to logits (B, C, 1, 1) through a bottleneck of C/r units (eq. 3)."""

    def __init__(self, channels: int, hidden: int, variant: str) -> None:
        super().__init__()
        official = variant == "official"
        self.reduce = nn.Linear(channels, hidden)
        if official:
            self.hidden_norm = BatchNorm1d(hidden)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Linear(hidden, channels)
        if not official:
            self.norm = BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = super().forward(x.mean((2, 3)))
        return logits[:, :, None, None]


class SpatialBranch(nn.Sequential):
    """Ms: (B, C, H, W) to logits (B, 1, H, W) with two dilated 3x3 convolutions (eq. 4); padding keeps the size."""

    def __init__(self, channels: int, hidden: int, dilation: int, variant: str) -> None:
        super().__init__()
        official = variant == "official"
        convolutions = {
            "reduce": nn.Conv2d(channels, hidden, 1),
            "dilate0": nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),
            "dilate1": nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),
        }
        for name, convolution in convolutions.items():
            self.add_module(name, convolution)
            if official:
                self.add_module(f"{name}_norm", BatchNorm2d(hidden))
            self.add_module(f"{name}_relu", nn.ReLU(inplace=True))
        self.project = nn.Conv2d(hidden, 1, 1)
        if not official:
            self.norm = BatchNorm2d(1)


@dataclass(frozen=True)
class GateFusion:
    """The gate M of one or two branches' logits (eq. 2)."""

    combine: str
    gate: str

    def __call__(self, logits: dict[str, Tensor]) -> Tensor:
        joint = list(logits.values())
        return GATES[self.gate](COMBINE[self.combine](*joint) if len(joint) == 2 else joint[0])


class BAMModule(nn.Module):
    """One BAM: scales (B, C, H, W) by 1 + M and hands on the logits of its branches."""

    def __init__(self, channels: int, hidden: int, dilation: int, variant: str, branch: str, join: GateFusion) -> None:
        super().__init__()
        if branch != "spatial":
            self.channel = ChannelBranch(channels, hidden, variant)
        if branch != "channel":
            self.spatial = SpatialBranch(channels, hidden, dilation, variant)
        self.join = join
        initialise(self)

    def forward(self, x: Tensor) -> ModuleOutput:
        logits = {name: branch(x) for name, branch in self.named_children()}
        return ModuleOutput(x * (1 + self.join(logits)), logits)  # eq. 1


class BAM(Attention):
    """BAM at every bottleneck of a backbone, or after every block.

    variant: `paper` or `official` (the released code). combine: `sum`, `product`, `max`, or `auto` (sum for the
    paper, product for the released code). branch: `both`, `channel` or `spatial` (table 1b). reduction r and dilation
    d: table 1a. placement: `bottleneck` (before each downsampling) or `block` (after each block: table 2, "BAM-C").
    gate: `sigmoid`, or `tanh`, a gate that may go negative, which readers of the paper ask for (not in the paper).
    """

    def __init__(
        self,
        variant: str = "paper",
        combine: str = "auto",
        branch: str = "both",
        reduction: int = 16,
        dilation: int = 4,
        placement: str = "bottleneck",
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        require_choice("variant", variant, VARIANTS)
        require_choice("combine", combine, ("auto", *COMBINE))
        require_choice("branch", branch, BRANCHES)
        require_choice("placement", placement, PLACEMENTS)
        require_choice("gate", gate, tuple(GATES))
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        require(dilation >= 1, "dilation", dilation, "must be at least 1")
        if branch != "both" and combine != "auto":
            raise OptionError("combine", combine, f"joins two branches, and branch={branch} is one: leave it at auto")
        if combine == "auto":
            combine = "sum" if variant == "paper" else "product"  # the paper adds; the released code multiplies
        self.variant, self.branch, self.placement = variant, branch, placement
        self.reduction, self.dilation = reduction, dilation
        self.join = GateFusion(combine, gate)

    def attach(self, backbone: Backbone) -> None:
        points = list(backbone.bottlenecks)
        if self.placement == "block":
            points = backbone.match("*.block*.out")
        if not points:
            raise OptionError("placement", self.placement, "this backbone has no such place")
        for point in points:
            channels = backbone.points[point].channels
            hidden = channels // self.reduction
            require(hidden >= 1, "reduction", self.reduction, f"leaves none of the {channels} channels at {point}")
            options = (self.dilation, self.variant, self.branch, self.join)
            backbone.insert(point, BAMModule(channels, hidden, *options), "bam")

    def maps(self, output: Output) -> dict[str, Tensor]:
        """The gates M: (B, C, H, W) for both branches, (B, C, 1, 1) or (B, 1, H, W) for one; by point."""
        logits: dict[str, dict[str, Tensor]] = {}
        for key, value in output.features.taps.items():
            point, module, name = key.rsplit("/", 2)
            if module == "bam":
                logits.setdefault(point, {})[name] = value
        return {point: self.join(branches) for point, branches in logits.items()}
