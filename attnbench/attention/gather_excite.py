"""Gather-excite: Hu, Shen, Albanie, Sun, Vedaldi, "Gather-Excite: Exploiting Feature Context in Convolutional Neural
Networks", NeurIPS 2018, arXiv 1810.12348.

    x^ = gather(x)                          each channel over windows of extent e: (B, C, H', W')
    y = x sigmoid(resize(excite(x^)))       resized to (H, W) by nearest neighbours

GE-theta- (`variant=theta_minus`) gathers by average pooling and has no parameters; GE-theta (`theta`) gathers by log2 e
depthwise 3x3 convolutions of stride 2, each with BN, and ReLU between them; GE-theta+ (`theta_plus`) excites by two
1x1 convolutions with C/r channels and ReLU between them, and the others by nothing. e = 0 is the global extent, the
mean of the whole map; with it, theta- is a gate of each channel by itself.

Defaults: theta- with e = 0, its best; one module in every residual block, before the sum, as SE; in networks without
residual blocks, after every block. r = 16 (theta+).

The paper's best, theta+ with the global extent, gathers by a depthwise convolution as large as the map, which fixes the
size of the images; it is rejected here. The authors released a part in Caffe (hujie-frank/GENet). Windows of the
pooling, sizes, padding and parameter names are those of timm's `GatherExcite`: windows of 2e - 1 with stride e, whose
means leave the padding out. timm 1.0.31 cannot build its own module with `excite`.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.per_block import PerBlockAttention, Placement, rounded_channels
from attnbench.backbones.layers import BatchNorm2d, conv3x3, global_average
from attnbench.errors import OptionError, require, require_literal

GEVariant = Literal["theta_minus", "theta", "theta_plus"]


def check_options(variant: GEVariant, extent: int, reduction: int) -> None:
    """Check the options. Raises `OptionError`."""
    require_literal("variant", variant, GEVariant)
    power = extent >= 2 and extent & (extent - 1) == 0
    require(extent == 0 or power, "extent", extent, "must be 0, the whole map, or a power of 2")
    if variant != "theta_minus" and extent == 0:
        raise OptionError("extent", extent, f"{variant} would gather by a convolution as large as the map: 2, 4 or 8")
    require(reduction >= 1, "reduction", reduction, "must be at least 1")


def make_gather(channels: int, extent: int) -> nn.Sequential:
    """Build the log2 e depthwise convolutions of stride 2, each with BN, and ReLU between them."""
    gather = nn.Sequential()
    for number in range(1, extent.bit_length()):
        if number > 1:
            gather.add_module(f"act{number - 1}", nn.ReLU(inplace=True))
        gather.add_module(f"conv{number}", conv3x3(channels, channels, stride=2, groups=channels))
        gather.add_module(f"norm{number}", BatchNorm2d(channels))
    return gather


def make_excite(channels: int, reduction: int) -> nn.Sequential:
    """Build two 1x1 convolutions with C/r channels between them."""
    hidden = rounded_channels(channels, reduction)
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1))


class GlobalAverage(nn.Module):
    """The mean of the whole map, (B, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return global_average(x)[:, :, None, None]


def make_pooling(extent: int) -> nn.Module:
    """Build the average over windows of extent e, which overlap by half; their padding does not count."""
    if extent == 0:
        return GlobalAverage()
    return nn.AvgPool2d(2 * extent - 1, extent, padding=extent - 1, count_include_pad=False)


class GatherExciteModule(nn.Module):
    """Gather-excite: scales (B, C, H, W) by gates in (0, 1) of each channel's surroundings.

    Example:
        >>> GatherExciteModule(256)(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Args:
        channels: C.
        variant: `theta_minus`, `theta` or `theta_plus`: parameters in neither step, in gathering, in both.
        extent: e, a power of 2, or 0 for the whole map (`theta_minus` only).
        reduction: r of `theta_plus`.

    Raises:
        OptionError: An option has an invalid value, or r leaves no channel.
    """

    def __init__(self, channels: int, variant: GEVariant = "theta_minus", extent: int = 0, reduction: int = 16) -> None:
        super().__init__()
        check_options(variant, extent, reduction)
        self.extent = extent
        self.gather = make_pooling(extent) if variant == "theta_minus" else make_gather(channels, extent)
        self.excite = make_excite(channels, reduction) if variant == "theta_plus" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(self.gather(x)).sigmoid()
        return x * (gate if self.extent == 0 else F.interpolate(gate, size=x.shape[2:]))


class GatherExcite(PerBlockAttention):
    """Gather-excite in every block.

    Args:
        variant: `theta_minus`, `theta` or `theta_plus`.
        extent: e of each `GatherExciteModule`.
        reduction: r of `theta_plus`.
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name = "gather_excite"

    def __init__(
        self,
        variant: GEVariant = "theta_minus",
        extent: int = 0,
        reduction: int = 16,
        placement: Placement = "auto",
    ) -> None:
        super().__init__(placement)
        check_options(variant, extent, reduction)
        self.variant, self.extent, self.reduction = variant, extent, reduction

    def make(self, channels: int) -> nn.Module:
        return GatherExciteModule(channels, self.variant, self.extent, self.reduction)
