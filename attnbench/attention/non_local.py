"""The non-local block: Wang, Girshick, Gupta, He, "Non-local Neural Networks", CVPR 2018, arXiv 1711.07971.

    y_i = sum_j softmax_j(theta(x_i)^T phi(x_j)) g(x_j)        eq. 1 to 4, the embedded Gaussian
    z_i = BN(Wz y_i) + x_i                                     eq. 6

theta, phi, g and Wz are 1x1 convolutions with C/2 channels between them. The weight of the batch normalisation starts
at 0, so a fresh block is the identity.

Placement: one block, before the last residual block of res4 (section 5.1), the last stage but one. In a network with
fewer blocks there, or with none, it stands at the end of that stage. `placement=block` and `stage` put one after every
block or stage, `residual` at the end of every residual branch. A block holds (H W)^2 numbers for each image: at 32x32
positions that is 4 MiB.

Ours has the parameter names, initial values and outputs of timm's `NonLocalAttn` with `use_scale=False`, `rd_ratio=1/2`
and `rd_divisor=1`; timm's default has C/8 channels and scales the logits by C^(-1/2). The released weights start with a
deviation of 0.01. The paper's option to pool phi and g is not here.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import ModuleOutput, at_least_float32
from attnbench.attention.per_block import Placement, ReducingAttention, find_points, rounded_channels
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import BatchNorm2d, initialise


def affinities(queries: Tensor, keys: Tensor) -> Tensor:
    """Return softmax_j(theta_i^T phi_j), (B, H W, H W), of theta and phi (B, C', H, W)."""
    return F.softmax(queries.flatten(2).transpose(1, 2) @ keys.flatten(2), 2)


class NonLocalModule(nn.Module):
    """Non-local block: adds to each position of (B, C, H, W) a weighted sum over all positions.

    It returns a `ModuleOutput`: `features`, the refined map, and `extras`, `queries` and `keys` (B, C/r, H, W).

    Example:
        >>> refined, extras = NonLocalModule(256)(torch.randn(2, 256, 14, 14))
        >>> refined.shape, extras["queries"].shape
        (torch.Size([2, 256, 14, 14]), torch.Size([2, 128, 14, 14]))

    Args:
        channels: C.
        reduction: r; there are C/r channels between, rounded to the nearest number.

    Raises:
        OptionError: r leaves no channel.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        hidden = rounded_channels(channels, reduction)
        self.t, self.p, self.g = (nn.Conv2d(channels, hidden, 1) for _ in range(3))
        self.z = nn.Conv2d(hidden, channels, 1)
        self.norm = BatchNorm2d(channels)
        initialise(self)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> ModuleOutput:
        queries, keys, values = self.t(x), self.p(x), self.g(x)
        context = affinities(queries, keys) @ values.flatten(2).transpose(1, 2)  # eq. 4, (B, H W, C/r)
        context = context.transpose(1, 2).reshape(values.shape)
        return ModuleOutput(self.norm(self.z(context)) + x, {"queries": queries, "keys": keys})  # eq. 6


class NonLocal(ReducingAttention):
    """One non-local block before the last block of the last stage but one, or where `placement` says.

    Args:
        reduction: r of each `NonLocalModule`.
        placement: `residual`, `block`, `stage` (every one of them), or `auto`: one block, as in the paper.
    """

    name, module = "non_local", NonLocalModule

    def __init__(self, reduction: int = 2, placement: Placement = "auto") -> None:
        super().__init__(reduction, placement)

    def points(self, backbone: Backbone) -> list[str]:
        if self.placement != "auto":
            return find_points(backbone, self.placement)
        stage = backbone.stages[-2:][0]
        before_last = backbone.match(f"{stage}.block*.out")[-2:-1]
        return before_last or [f"{stage}.out"]

    def map_of(self, extras: dict[str, Tensor]) -> Tensor:
        """Return the mean weight of each position over all that ask, (B, 1, H, W); its sum is 1."""
        queries, keys = (at_least_float32(extras[name]) for name in ("queries", "keys"))
        return affinities(queries, keys).mean(1).unflatten(1, queries.shape[2:])[:, None]
