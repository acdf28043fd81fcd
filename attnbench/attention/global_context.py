"""GC, the global context block: Cao, Xu, Lin, Wei, Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and
Beyond", ICCV workshops 2019, arXiv 1904.11492.

    alpha_j = softmax_j(Wk x_j)                        context weights, Wk a 1x1 convolution to one channel
    z_i = x_i + Wv2 relu(LN(Wv1 sum_j alpha_j x_j))    eq. 5: the context is transformed and added everywhere

A non-local block whose weights do not depend on the position that asks. Defaults: r = 16 (Wv1 is C/r x C), one block in
every residual block, before the sum ("after 1x1"); the released detectors leave out the first stage. In networks
without residual blocks, after every block.

Ours has the parameter names, initial values and outputs of timm's `GlobalContext` with `fuse_add=True`,
`fuse_scale=False` (its `gca`) and `rd_divisor=1`; timm's `gc` scales channels instead of adding, which is not the
paper's default. Like timm's, ours starts with Wv2 = 0 and PyTorch's biases, so that a fresh block adds a constant to
each channel; the released code sets these to 0 too. The layer norm's epsilon is timm's 1e-6 (released: 1e-5).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import ModuleOutput, at_least_float32
from attnbench.attention.per_block import Placement, ReducingAttention, rounded_channels

EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))[:, :, None, None]


class Transform(nn.Module):
    """Wv2 relu(LN(Wv1 c)) of a context c (B, C, 1, 1)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.norm = ChannelNorm(hidden, eps=EPSILON)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        transformed: Tensor = self.fc2(self.act(self.norm(self.fc1(x))))
        return transformed


class GCModule(nn.Module):
    """Global context: adds to each channel of (B, C, H, W) a number that the map's context decides.

    It returns a `ModuleOutput`: `features`, the refined map, and `extras`, the `logits` (B, 1, H, W) of the context
    weights.

    Example:
        >>> refined, extras = GCModule(256)(torch.randn(2, 256, 14, 14))
        >>> refined.shape, extras["logits"].shape
        (torch.Size([2, 256, 14, 14]), torch.Size([2, 1, 14, 14]))

    Args:
        channels: C.
        reduction: r; the hidden layer has C/r units, rounded to the nearest number.

    Raises:
        OptionError: r leaves no channel.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.conv_attn = nn.Conv2d(channels, 1, 1)
        self.mlp_add = Transform(channels, rounded_channels(channels, reduction))
        nn.init.kaiming_normal_(self.conv_attn.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.mlp_add.fc2.weight)

    def forward(self, x: Tensor) -> ModuleOutput:
        logits = self.conv_attn(x)
        weights = F.softmax(logits.flatten(1), 1)[:, :, None]  # (B, H W, 1)
        context = (x.flatten(2) @ weights)[..., None]  # (B, C, 1, 1)
        return ModuleOutput(x + self.mlp_add(context), {"logits": logits})  # eq. 5


class GlobalContext(ReducingAttention):
    """A global context block in every block.

    Args:
        reduction: r of each `GCModule`.
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name, module = "gc", GCModule

    def __init__(self, reduction: int = 16, placement: Placement = "auto") -> None:
        super().__init__(reduction, placement)

    def map_of(self, extras: dict[str, Tensor]) -> Tensor:
        """Return the context weights (B, 1, H, W), whose sum is 1."""
        logits = at_least_float32(extras["logits"])
        return logits.flatten(1).softmax(1).reshape(logits.shape)
