"""Gather-excite: Hu, Shen, Albanie, Sun, Vedaldi, "Gather-Excite: Exploiting Feature Context in Convolutional Neural
Networks", NeurIPS 2018, arXiv 1810.12348.

    x^ = gather(x)                          each channel over windows of extent e: (B, C, H', W')
    y = x sigmoid(resize(excite(x^)))       resized to (H, W) by nearest neighbours

GE-theta- (`parameters=none`) gathers by average pooling; GE-theta (`gather`) gathers by log2 e depthwise 3x3
convolutions of stride 2, each with BN, and ReLU between them; GE-theta+ (`both`) also excites, by ReLU and two 1x1
convolutions with C/r channels and ReLU between them. e = 0 is the global extent, the mean of the whole map: without
parameters, it gates each channel by itself.

Defaults: theta- with e = 0, its best; one module in every residual block, before the sum, as SE; in networks without
residual blocks, after every block. r = 16 (theta+).

The paper's best, theta+ with the global extent, gathers by a depthwise convolution as large as the map, which fixes the
size of the images; it is rejected here. The released networks (hujie-frank/GENet, models/, in Caffe) all have the
global extent. Ours computes what theirs of theta- does, and what theirs of theta and theta+ do behind the gathering
convolution: BN; in theta+, ReLU and two 1x1 convolutions with biases. Windows, sizes and padding are those of timm's
`GatherExcite`: windows of 2e - 1 with stride e, whose means leave the padding out. timm 1.0.31 cannot build its own
module with parameters.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.per_block import PerBlockAttention, Placement, rounded_channels
from attnbench.backbones.layers import BatchNorm2d, conv3x3
from attnbench.backbones.pooling import average
from attnbench.errors import OptionError, require, require_literal

Parameters = Literal["none", "gather", "both"]
Extent = Literal[0, 2, 4, 8]


def check_options(parameters: Parameters, extent: Extent, reduction: int) -> None:
    """Check the options. Raises `OptionError`."""
    require_literal("parameters", parameters, Parameters)
    require_literal("extent", extent, Extent)
    if parameters != "none" and extent == 0:
        raise OptionError("extent", extent, "would gather by a convolution as large as the map: 2, 4 or 8")
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
        return average(x, 2, 3)


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
        parameters: Which steps have parameters: `none` (theta-), `gather` (theta), or `both` (theta+).
        extent: e; 0 is the whole map, without parameters only.
        reduction: r of theta+.

    Raises:
        OptionError: An option has an invalid value, or r leaves no channel.
    """

    def __init__(self, channels: int, parameters: Parameters = "none", extent: Extent = 0, reduction: int = 16) -> None:
        super().__init__()
        check_options(parameters, extent, reduction)
        self.extent = extent
        self.gather = make_pooling(extent) if parameters == "none" else make_gather(channels, extent)
        self.excite = make_excite(channels, reduction) if parameters == "both" else nn.Identity()
        if parameters == "both":  # in the gather, so that the excite's names stay
            self.gather.add_module("act", nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(self.gather(x)).sigmoid()
        return x * (gate if self.extent == 0 else F.interpolate(gate, size=x.shape[2:]))


class GatherExcite(PerBlockAttention):
    """Gather-excite in every block.

    Args:
        parameters: Of each `GatherExciteModule`: `none` (theta-), `gather` (theta), or `both` (theta+).
        extent: e of each module.
        reduction: r of each module, theta+ only.
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name = "gather_excite"

    def __init__(
        self,
        parameters: Parameters = "none",
        extent: Extent = 0,
        reduction: int = 16,
        placement: Placement = "auto",
    ) -> None:
        super().__init__(placement)
        check_options(parameters, extent, reduction)
        self.parameters_in, self.extent, self.reduction = parameters, extent, reduction

    def make(self, channels: int) -> nn.Module:
        return GatherExciteModule(channels, self.parameters_in, self.extent, self.reduction)
