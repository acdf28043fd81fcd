"""SE: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, arXiv 1709.01507.

    z_c = mean_ij u_cij                       eq. 2, squeeze: global average of each channel of U
    s = sigmoid(W2 relu(W1 z))                eq. 3, excitation: W1 is C/r x C, W2 is C x C/r
    x_c = s_c u_c                             eq. 4, scale

Defaults: r = 16, one module in every residual block, before the sum; in networks without residual
blocks, after every block.

Paper vs official: eq. 3 prints no biases; the released networks and timm have them, as do BAM's counts of table 5
(ResNet-50 26.24 M). Ours has them. The module has the parameter names, initial values and outputs of timm's `SEModule`
with `rd_divisor=1`, so weights trained with either load into the other; the initial values are PyTorch's defaults.
"""

from torch import Tensor, nn

from attnbench.attention.per_block import Placement, ReducingAttention, rounded_channels
from attnbench.backbones.pooling import average


class SEModule(nn.Module):
    """Squeeze-and-excitation: scales the channels of (B, C, H, W) by gates in (0, 1).

    Example:
        >>> SEModule(256)(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Args:
        channels: C.
        reduction: r; the hidden layer has C/r units, rounded to the nearest number.

    Raises:
        OptionError: r leaves no channel.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = rounded_channels(channels, reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = average(x, 2, 3)  # eq. 2
        gate = self.fc2(self.act(self.fc1(squeezed))).sigmoid()  # eq. 3
        return x * gate  # eq. 4


class SE(ReducingAttention):
    """SE in every block (BAM's table 5).

    Args:
        reduction: r of each `SEModule`.
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name, module = "se", SEModule

    def __init__(self, reduction: int = 16, placement: Placement = "auto") -> None:
        super().__init__(reduction, placement)
