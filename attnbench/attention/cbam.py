"""CBAM: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, arXiv 1807.06521.

    F' = Mc(F) * F, F'' = Ms(F') * F'                               eq. 1, channels first, then positions
    Mc(F) = sigmoid(W1 relu(W0 AvgPool(F)) + W1 relu(W0 MaxPool(F)))     eq. 2, (B, C, 1, 1)
    Ms(F) = sigmoid(f7x7([mean_c F; max_c F]))                      eq. 3, (B, 1, H, W)

Defaults: r = 16, a 7x7 convolution, one module in every residual block, before the sum; in networks without residual
blocks, after every block.

Paper vs official (Jongchan/attention-module, MODELS/cbam.py):

- the released perceptron has biases; eq. 2 prints none, and ours has none;
- batch normalisation follows the 7x7 convolution in the released code, not in eq. 3; ours has it;
- the released batch normalisation has momentum 0.01; ours PyTorch's default, 0.1;
- the released network starts with a weight of 0 in that batch normalisation, with zero biases in the perceptron, and
  with a 7x7 convolution after He et al. by fan-out; the paper does not mention initial values, and ours are PyTorch's.

Ours has the parameter names, initial values and outputs of timm's `CbamModule`, so weights trained with either load
into the other.
"""

import torch
from torch import Tensor, nn

from attnbench.attention.per_block import Placement, ReducingAttention, rounded_channels
from attnbench.backbones.layers import BatchNorm2d
from attnbench.backbones.pooling import average

KERNEL = 7
"""Side of the spatial gate's convolution (table 2 of the paper: better than 3)."""


class ChannelGate(nn.Module):
    """Mc(F) * F: scales the channels of (B, C, H, W) by gates in (0, 1) (eq. 2)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = rounded_channels(channels, reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        by_average, by_maximum = map(self.score, (average(x, 2, 3), x.amax((2, 3), keepdim=True)))
        return x * (by_average + by_maximum).sigmoid()

    def score(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.fc2(self.act(self.fc1(pooled)))
        return logits


class ConvNorm(nn.Module):
    """The 7x7 convolution of the two pooled maps (B, 2, H, W), with batch normalisation: (B, 1, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, KERNEL, padding=KERNEL // 2, bias=False)
        self.bn = BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.bn(self.conv(x))
        return logits


class SpatialGate(nn.Module):
    """Ms(F) * F: scales the positions of (B, C, H, W) by gates in (0, 1) (eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvNorm()

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([average(x, 1), x.amax(1, keepdim=True)], 1)
        return x * self.conv(pooled).sigmoid()


class CBAMModule(nn.Module):
    """CBAM: scales first the channels, then the positions of (B, C, H, W) (eq. 1).

    Example:
        >>> CBAMModule(256)(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Args:
        channels: C.
        reduction: r; the channel gate's hidden layer has C/r units, rounded to the nearest number.

    Raises:
        OptionError: r leaves no channel.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, reduction)
        self.spatial = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = self.spatial(self.channel(x))
        return refined


class CBAM(ReducingAttention):
    """CBAM in every block.

    Args:
        reduction: r of each `CBAMModule`.
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name, module = "cbam", CBAMModule

    def __init__(self, reduction: int = 16, placement: Placement = "auto") -> None:
        super().__init__(reduction, placement)
