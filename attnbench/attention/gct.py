"""GCT, gated channel transformation: Yang, Zhu, Wu, Yang, "Gated Channel Transformation for Visual Recognition",
CVPR 2020, arXiv 1909.11519.

    s_c = alpha_c (sum_ij x_cij^2 + eps)^(1/2)                      eq. 2, global context embedding
    s^_c = sqrt(C) s_c / (sum_c s_c^2 + eps)^(1/2)                  eq. 4, channel normalisation
    x^_c = x_c (1 + tanh(gamma_c s^_c + beta_c))                    eq. 5, gating adaptation

Defaults: eps = 1e-5, alpha = 1, gamma = beta = 0: a fresh GCT is the identity.

Paper vs official (z-x-yang/GCT): the released normalisation adds eps to the mean of s^2 instead of the sum, and so does
ours. The authors advise against weight decay of beta; ours decays as other parameters of one dimension do
(`recipe.decay_norm_and_bias`).

Placement: before every convolution of the trunk, as in the paper and in the released networks: those of blocks, of
shortcuts, and the stem's, which reads the image (PyTorch/resnet.py; in TensorFlow, every call of a convolution, VGG's
too). The README names one in each residual block, before its first or last 1x1 convolution, as 0.1 to 0.2 points worse
in ResNet-50. `placement=residual` has one at the end of every branch instead, where other methods stand.
"""

import torch
from torch import Tensor, nn

from attnbench.attention.base import at_least_float32
from attnbench.attention.per_block import PerBlockAttention
from attnbench.backbones.base import Backbone

EPSILON = 1e-5


class GCTModule(nn.Module):
    """Gated channel transformation: scales the channels of (B, C, H, W) by gates in (0, 2) of their norms.

    Example:
        >>> GCTModule(256)(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        squares = at_least_float32(x).square().sum((2, 3))
        embedding = self.alpha * (squares + EPSILON).sqrt()  # eq. 2, (B, C)
        scale = (embedding.square().mean(1, keepdim=True) + EPSILON).rsqrt()
        gate = 1 + (self.gamma * embedding * scale + self.beta).tanh()  # eq. 4 and 5
        return x * gate.to(x.dtype)[:, :, None, None]


class GCT(PerBlockAttention):
    """GCT before every convolution.

    Args:
        placement: `residual`, `block`, `stage`, or `auto`: before every convolution.
    """

    name = "gct"

    def authors_points(self, backbone: Backbone) -> list[str]:
        """Return the inputs of all convolutions."""
        return [f"{name}.in" for name in backbone.convolutions]

    def make(self, channels: int) -> nn.Module:
        return GCTModule(channels)
