"""Coordinate attention: Hou, Zhou, Feng, "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021,
arXiv 2103.02907.

    z^h_c(h) = mean_w x_c(h, w)                    eq. 4, (B, C, H), each row's average
    z^w_c(w) = mean_h x_c(h, w)                    eq. 5, (B, C, W), each column's average
    f = delta(BN(F1([z^h, z^w])))                  eq. 6, (B, m, H + W), F1 a 1x1 convolution
    g^h = sigmoid(Fh(f^h)), g^w = sigmoid(Fw(f^w))    eq. 7 and 8, 1x1 convolutions back to C channels
    y_c(i, j) = x_c(i, j) g^h_c(i) g^w_c(j)        eq. 9

Defaults: m = max(8, C/r) with r = 32, delta = h-swish as in the released code.

Placement: in MobileNetV2, before the projecting 1x1 convolution of each block that expands: behind the depthwise
convolution with its BN and ReLU6, on the hidden channels (mbv2_ca.py). By analogy, before each 1x1 convolution of
MobileNet, except in its first block, whose channels no 1x1 convolution has widened, as in MobileNetV2's first. The
authors show no residual networks: elsewhere it stands where `per_block.find_points` says, as before the sum.

Ours has the parameter names, initial values (PyTorch's defaults) and outputs of timm's `CoordAttn` with biases and m
hidden channels, which are those of the released module. timm's own default differs: no biases, and C/24 channels.
"""

import torch
from torch import Tensor, nn

from attnbench.attention.base import ModuleOutput
from attnbench.attention.per_block import Placement, ReducingAttention
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import BatchNorm2d
from attnbench.backbones.pooling import average
from attnbench.errors import require

FEWEST = 8
"""Hidden channels at least, as in the released code."""


class CoordinateModule(nn.Module):
    """Coordinate attention: scales (B, C, H, W) by a gate of each channel's rows and one of its columns.

    It returns a `ModuleOutput`: `features`, the refined map, and `extras`, the gates `rows` (B, C, H, 1) and `columns`
    (B, C, 1, W).

    Example:
        >>> refined, gates = CoordinateModule(256)(torch.randn(2, 256, 14, 10))
        >>> refined.shape, gates["rows"].shape, gates["columns"].shape
        (torch.Size([2, 256, 14, 10]), torch.Size([2, 256, 14, 1]), torch.Size([2, 256, 1, 10]))

    Args:
        channels: C.
        reduction: r; there are C/r hidden channels, rounded down, but at least 8.
    """

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__()
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        hidden = max(FEWEST, channels // reduction)
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = BatchNorm2d(hidden)
        self.act = nn.Hardswish()
        self.conv_h = nn.Conv2d(hidden, channels, 1)
        self.conv_w = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> ModuleOutput:
        height, width = x.shape[2:]
        pooled = torch.cat([average(x, 3), average(x, 2).transpose(2, 3)], 2)  # eq. 4 and 5
        hidden = self.act(self.bn1(self.conv1(pooled)))  # eq. 6
        along_height, along_width = hidden.split([height, width], 2)
        rows = self.conv_h(along_height).sigmoid()  # eq. 7
        columns = self.conv_w(along_width.transpose(2, 3)).sigmoid()  # eq. 8
        return ModuleOutput(x * columns * rows, {"rows": rows, "columns": columns})  # eq. 9


class CoordinateAttention(ReducingAttention):
    """Coordinate attention in every block.

    Args:
        reduction: r of each `CoordinateModule`.
        placement: `residual`, `block`, `stage`, or `auto`: behind the depthwise convolutions of mobile networks, else
            as `PerBlockAttention` says.
    """

    name, module = "coordinate", CoordinateModule

    def __init__(self, reduction: int = 32, placement: Placement = "auto") -> None:
        super().__init__(reduction, placement)

    def authors_points(self, backbone: Backbone) -> list[str]:
        """Return the inputs of the 1x1 convolutions that follow depthwise ones."""
        return [f"{name}.in" for name in backbone.convolutions_with_role("projection")]

    def map_of(self, extras: dict[str, Tensor]) -> Tensor:
        """Return the product of both gates, (B, C, H, W)."""
        return extras["rows"] * extras["columns"]
