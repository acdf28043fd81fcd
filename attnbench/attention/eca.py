"""ECA: Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
CVPR 2020, arXiv 1910.03151.

    y = AvgPool(X)                              (B, C), the global average of each channel
    w = sigmoid(C1D_k(y))                       a 1D convolution of kernel k over channels, shared by all of them
    k = | log2(C) / gamma + b / gamma |_odd     the kernel's size from the channels; gamma = 2, b = 1

and X is scaled by w. Defaults: k by the rule, one module in every residual block, before the sum; in networks without
residual blocks, after every block.

Paper vs official: |t|_odd is the nearest odd number in the paper; the released code rounds t down and adds 1 if that is
even, and so does ours.

Deviation: k is at least 3, as in timm; the released code gives k = 1 to fewer than 8 channels. Ours has the parameter
names, initial values (PyTorch's defaults) and outputs of timm's `EcaModule`, so weights trained with either load into
the other.
"""

import math

from torch import Tensor, nn

from attnbench.attention.per_block import PerBlockAttention
from attnbench.backbones.pooling import global_average

GAMMA, B = 2, 1
SMALLEST_KERNEL = 3


def kernel_size(channels: int) -> int:
    """Return k for maps of that many channels: 3 below 128, 5 from there on, 7 from 2048 on."""
    size = int(abs(math.log2(channels) + B) / GAMMA)
    return max(size if size % 2 else size + 1, SMALLEST_KERNEL)


class ECAModule(nn.Module):
    """Efficient channel attention: scales the channels of (B, C, H, W) by gates in (0, 1) of their neighbours.

    Example:
        >>> ECAModule(256)(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Args:
        channels: C, from which the kernel's size follows.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = kernel_size(channels)
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = global_average(x)[:, None]  # (B, 1, C)
        gate = self.conv(means).sigmoid()
        return x * gate[:, 0, :, None, None]


class ECA(PerBlockAttention):
    """ECA in every block.

    Args:
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name = "eca"

    def make(self, channels: int) -> nn.Module:
        return ECAModule(channels)
