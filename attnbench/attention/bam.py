"""BAM: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, arXiv 1807.06514.

    F' = F + F * M(F)                            eq. 1
    M(F) = sigmoid(Mc(F) + Ms(F))                eq. 2, both branches broadcast to (B, C, H, W)
    Mc(F) = BN(W1 (W0 AvgPool(F) + b0) + b1)     eq. 3, W0 is C/r x C, W1 is C x C/r
    Ms(F) = BN(f1x1(f3x3(f3x3(f1x1(F)))))        eq. 4, the 3x3 convolutions are dilated by d

Defaults: r = 16, d = 4 (figure 2), one module at every bottleneck of the network, that is before each downsampling.

Paper vs official (Jongchan/attention-module, 459efad); `variant=official` follows the released code:

- it multiplies the branches; the paper adds them (its product column in table 1b is 0.21 points worse);
- batch normalisation follows every hidden layer, with ReLU, and not the branches' last layer;
- fresh linear layers start with zero biases, ResNet's classifier is drawn with deviation sqrt(2 / F) for F inputs
  (0.031 for 2048), and the projections of its shortcuts with deviation 1 / sqrt(3 F), as PyTorch does: the release
  initialises convolutions whose names contain "conv", which theirs do not. The paper does not mention initial values:
  there, linear layers start as PyTorch's do (biases too; a classifier of 2048 inputs has deviation 0.013), and
  projections as other convolutions. The gates' linear weights are PyTorch's in both, uniform with deviation
  1 / sqrt(3 F); other convolutions are He et al.'s by fan-out, with zero biases. `init` chooses it independently.

Deviations from the released code, in both variants:

- its average pooling has a square window of side H, which reads the left 8x8 part of 8x12 maps and crashes on taller
  ones; ours averages over the whole map;
- it cannot train on a batch of one, nor be constructed at all (an undefined name); ours can.

Deviation from the paper: it prints no activation between layers. As hidden layers would otherwise collapse into one
linear map, ReLU follows each of them, as in the released code.

A fresh BAM is not the identity: it multiplies its input by about 1.5.

Released weights load: `backbone.weights=FILE attention=bam attention.variant=official` translates the released names
of a ResNet with BAM (attnbench/weights/bam_official.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from attnbench.attention.amplify import amplify
from attnbench.attention.base import Attention, ModuleOutput, Output, Variant, extras_by_point, reduced_channels
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import BatchNorm1d, BatchNorm2d, initialise
from attnbench.backbones.pooling import global_average
from attnbench.backbones.resnet import ResNet
from attnbench.errors import OptionError, require, require_literal

Branch = Literal["both", "channel", "spatial"]
Placement = Literal["bottleneck", "block"]
Combine = Literal["sum", "product", "max"]
CombineOption = Literal["auto", Combine]
Gate = Literal["sigmoid", "tanh"]
InitOption = Literal["auto", Variant]

COMBINE: dict[Combine, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "product": torch.mul,
    "max": torch.maximum,
}
GATES: dict[Gate, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}


class ChannelBranch(nn.Sequential):
    """Mc: (B, C, H, W) to logits (B, C, 1, 1) through a bottleneck of `hidden` units (eq. 3)."""

    def __init__(self, channels: int, hidden: int, variant: Variant) -> None:
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
        logits: Tensor = super().forward(global_average(x))
        return logits[:, :, None, None]


class SpatialBranch(nn.Sequential):
    """Ms: (B, C, H, W) to logits (B, 1, H, W) with two dilated 3x3 convolutions, padded to keep the size (eq. 4)."""

    def __init__(self, channels: int, hidden: int, dilation: int, variant: Variant) -> None:
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
    """The gate M from the logits of one or two branches (eq. 2)."""

    combine: Combine
    gate: Gate

    def __call__(self, logits: dict[str, Tensor]) -> Tensor:
        """Return the gate, broadcast over what the branches' shapes (B, C, 1, 1) and (B, 1, H, W) have in common."""
        branches = list(logits.values())
        return GATES[self.gate](COMBINE[self.combine](*branches) if len(branches) == 2 else branches[0])


def choose_combine(combine: CombineOption, variant: Variant, branch: Branch) -> Combine:
    """Resolve `combine=auto`: the paper adds the branches, the released code multiplies them.

    Raises `OptionError` for an unknown value, and for a value other than `auto` where there is one branch only.
    """
    require_literal("combine", combine, CombineOption)
    if combine == "auto":
        return "sum" if variant == "paper" else "product"
    if branch != "both":
        raise OptionError("combine", combine, f"joins two branches, and branch={branch} is one: leave it at auto")
    return combine


def zero_linear_biases(module: nn.Module) -> None:
    """Set the biases of all linear layers to 0, as the released code does."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)


def initialise_as_released(backbone: Backbone) -> None:
    """Draw a ResNet's classifier and projections as the released network does.

    The classifier: He et al. (2015) by fan-in, biases 0. The projections of shortcuts: PyTorch's default. Other
    backbones keep theirs, as none was released.
    """
    if not isinstance(backbone, ResNet):
        return
    if isinstance(backbone.classifier, nn.Linear):
        nn.init.kaiming_normal_(backbone.classifier.weight)
        nn.init.zeros_(backbone.classifier.bias)
    for name, layer in backbone.named_modules():
        if isinstance(layer, nn.Conv2d) and ".shortcut." in name:
            layer.reset_parameters()


class BAMModule(nn.Module):
    """One BAM: scales (B, C, H, W) by 1 + M (eq. 1). Usable in any network.

    It returns a `ModuleOutput`: `features`, the refined map (B, C, H, W), and `extras`, the branches' logits `channel`
    (B, C, 1, 1) and `spatial` (B, 1, H, W). `module.fuse(extras)` is the gate M.

    Example:
        >>> refined, logits = BAMModule(256)(torch.randn(2, 256, 14, 14))
        >>> refined.shape, logits["channel"].shape, logits["spatial"].shape
        (torch.Size([2, 256, 14, 14]), torch.Size([2, 256, 1, 1]), torch.Size([2, 1, 14, 14]))

    Args:
        channels: C.
        reduction: r; hidden layers have C/r units or channels.
        dilation: d of the spatial branch's 3x3 convolutions.
        variant: `paper`, or `official`, the released code.
        combine: How the branches' logits are joined; `auto` by the variant: `sum` (paper) or `product` (official).
        branch: `both`, or one branch alone (table 1b).
        gate: `sigmoid`, or `tanh`, a gate that may be negative (not in the paper).
        init: Initial biases of linear layers: PyTorch's (`paper`), 0 (`official`), or `auto` by the variant.

    Raises:
        OptionError: An option has an invalid value, or r leaves no channel.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        dilation: int = 4,
        variant: Variant = "paper",
        combine: CombineOption = "auto",
        branch: Branch = "both",
        gate: Gate = "sigmoid",
        init: InitOption = "auto",
    ) -> None:
        super().__init__()
        require_literal("variant", variant, Variant)
        require_literal("branch", branch, Branch)
        require_literal("gate", gate, Gate)
        require_literal("init", init, InitOption)
        require(dilation >= 1, "dilation", dilation, "must be at least 1")
        hidden = reduced_channels(channels, reduction)
        if branch != "spatial":
            self.channel = ChannelBranch(channels, hidden, variant)
        if branch != "channel":
            self.spatial = SpatialBranch(channels, hidden, dilation, variant)
        self.fuse = GateFusion(choose_combine(combine, variant, branch), gate)
        initialise(self)
        if (variant if init == "auto" else init) == "official":
            zero_linear_biases(self)

    def forward(self, x: Tensor) -> ModuleOutput:
        logits = {name: branch(x) for name, branch in self.named_children()}
        return ModuleOutput(amplify(x, self._gate(logits, x)), logits)  # eq. 1

    def _gate(self, logits: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return the gate in the memory format of x: a product of mixed formats takes three times as long on a CPU."""
        if not x.is_contiguous(memory_format=torch.channels_last):
            return self.fuse(logits)
        return self.fuse({name: value.permute(0, 2, 3, 1) for name, value in logits.items()}).permute(0, 3, 1, 2)


class BAM(Attention):
    """BAM at every bottleneck of a backbone, or after every block.

    Args:
        variant: `paper`, or `official`, the released code.
        combine: `sum`, `product`, `max` (table 1b), or `auto` by the variant.
        branch: `both`, `channel` or `spatial` (table 1b).
        reduction: r (table 1a).
        dilation: d (table 1a).
        placement: `bottleneck`, before each downsampling, or `block`, after each block ("BAM-C", table 2).
        gate: `sigmoid`, or `tanh`, a gate that may be negative (not in the paper).
        init: Initial values of linear layers and of ResNet's classifier and projections: this package's (`paper`),
            those of the released code (`official`), or `auto` by the variant.
    """

    def __init__(
        self,
        variant: Variant = "paper",
        combine: CombineOption = "auto",
        branch: Branch = "both",
        reduction: int = 16,
        dilation: int = 4,
        placement: Placement = "bottleneck",
        gate: Gate = "sigmoid",
        init: InitOption = "auto",
    ) -> None:
        super().__init__()
        require_literal("variant", variant, Variant)
        require_literal("branch", branch, Branch)
        require_literal("placement", placement, Placement)
        require_literal("gate", gate, Gate)
        require_literal("init", init, InitOption)
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        require(dilation >= 1, "dilation", dilation, "must be at least 1")
        self.variant, self.branch, self.placement = variant, branch, placement
        self.reduction, self.dilation = reduction, dilation
        self.init: Variant = variant if init == "auto" else init
        self.fuse = GateFusion(choose_combine(combine, variant, branch), gate)

    def attach(self, backbone: Backbone) -> None:
        points = list(backbone.bottlenecks) if self.placement == "bottleneck" else backbone.match("*.block*.out")
        if not points:
            raise OptionError("placement", self.placement, "this backbone has no such place")
        for point in points:
            backbone.insert(point, self.make(backbone.points[point].channels), "bam")
        if self.init == "official":
            initialise_as_released(backbone)

    def make(self, channels: int) -> BAMModule:
        """Build one module for maps of that many channels."""
        combine: CombineOption = self.fuse.combine if self.branch == "both" else "auto"
        options = (self.reduction, self.dilation, self.variant, combine, self.branch, self.fuse.gate, self.init)
        return BAMModule(channels, *options)

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return the gates M by point: (B, C, H, W) for both branches, (B, C, 1, 1) or (B, 1, H, W) for one."""
        return {point: self.fuse(branches) for point, branches in extras_by_point(output, "bam").items()}
