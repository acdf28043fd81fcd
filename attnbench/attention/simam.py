"""SimAM: Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks",
ICML 2021.

    e*_t = 4 (s^2 + lambda) / ((t - mu)^2 + 2 s^2 + 2 lambda)      eq. 5, the least energy of neuron t
    X' = sigmoid(1 / E) X                                          eq. 6, E holds the e* of all neurons

mu and s^2 are the mean and the variance of a channel's map. So 1/e* = (t - mu)^2 / (4 (s^2 + lambda)) + 1/2, which is
how the released code (ZjjConan/SimAM) and ours compute it: a neuron counts for more, the more it differs from its
channel. There are no parameters. Default: lambda = 1e-4 (`e_lambda`).

Paper vs official: the paper's s^2 divides by M = H W, the released code by M - 1, and so does ours.

The released networks for CIFAR have lambda = 1e-4, those for ImageNet 0.1, by the names of their folders
(`imagenet-resnet50-simam-param0.1`) and the commands of the README.

Placement: directly behind the last 3x3 convolution of a block, before its batch normalisation, as in the released
networks: ResNet and ResNeXt (networks/imagenet/resnet.py), those of CIFAR, pre-activation and wide ResNets included
(networks/cifar/block.py), and the depthwise convolutions of MobileNetV2. By analogy, those of MobileNet. In other
families it stands where `per_block.find_points` says.

Deviation: on maps of one pixel the released code divides 0 by 0; there our gate is sigmoid(1/2), as of any map without
variance.
"""

from torch import Tensor, nn

from attnbench.attention.base import ModuleOutput
from attnbench.attention.per_block import PerBlockAttention, Placement
from attnbench.backbones.base import Backbone
from attnbench.backbones.pooling import average
from attnbench.errors import require


class SimAMModule(nn.Module):
    """SimAM: scales each position of each channel of (B, C, H, W) by a gate in [0.62, 1).

    It returns a `ModuleOutput`: `features`, the refined map, and `extras`, the `gate` (B, C, H, W).

    Example:
        >>> refined, extras = SimAMModule()(torch.randn(2, 256, 14, 14))
        >>> refined.shape, extras["gate"].shape
        (torch.Size([2, 256, 14, 14]), torch.Size([2, 256, 14, 14]))

    Args:
        e_lambda: lambda, the regulariser of the energy.
    """

    def __init__(self, e_lambda: float = 1e-4) -> None:
        super().__init__()
        require(e_lambda > 0, "e_lambda", e_lambda, "must be positive")
        self.regulariser = e_lambda

    def forward(self, x: Tensor) -> ModuleOutput:
        squares = (x - average(x, 2, 3)).square()
        others = max(x.shape[2] * x.shape[3] - 1, 1)
        scale = 0.25 / (squares.sum((2, 3), keepdim=True) / others + self.regulariser)
        gate = (squares * scale + 0.5).sigmoid()  # of 1 / e*, eq. 5
        return ModuleOutput(x * gate, {"gate": gate})  # eq. 6


class SimAM(PerBlockAttention):
    """SimAM in every block.

    Args:
        e_lambda: lambda of each `SimAMModule`.
        placement: `residual`, `block`, `stage`, or `auto`: behind 3x3 convolutions (see `PerBlockAttention`).
    """

    name = "simam"

    def __init__(self, e_lambda: float = 1e-4, placement: Placement = "auto") -> None:
        super().__init__(placement)
        require(e_lambda > 0, "e_lambda", e_lambda, "must be positive")
        self.regulariser = e_lambda

    def authors_points(self, backbone: Backbone) -> list[str]:
        """Return the outputs of the blocks' last 3x3 convolutions."""
        return [f"{name}.out" for name in backbone.convolutions_with_role("spatial")]

    def make(self, channels: int) -> nn.Module:
        del channels  # it has no parameters
        return SimAMModule(self.regulariser)

    def map_of(self, extras: dict[str, Tensor]) -> Tensor:
        """Return the gate (B, C, H, W)."""
        return extras["gate"]
