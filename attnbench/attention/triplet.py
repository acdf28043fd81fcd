"""Triplet attention: Misra, Nalamada, Arasanipalai, Hou, "Rotate to Attend: Convolutional Triplet Attention Module",
WACV 2021, arXiv 2010.03045.

    Z(x) = [max x; mean x]                     eq. 1, over the first of a map's three axes
    y = (turn(x1 s(psi1(x1))) + turn(x2 s(psi2(x2))) + x s(psi3(x))) / 3      eq. 3 and 4

x1 and x2 are x turned by 90 degrees, so that its height or its width is the first axis; psi is Z and a k x k
convolution, s the sigmoid. A branch scales x by a gate that is constant along the axis that it pooled: (B, C, 1, W),
(B, C, H, 1) or (B, 1, H, W). Ours pools x along that axis instead of turning it, and multiplies x once, by the mean of
the three gates.

Defaults: k = 7, batch normalisation behind each convolution, one module in every residual block, before the sum, as in
the released ResNets; in networks without residual blocks, after every block.

Ours has the released parameters and their names, without the prefix `conv` (landskape-ai/triplet-attention, MIT
licence). Deviations: the released batch normalisation has momentum 0.01; ours PyTorch's default, 0.1. Where maxima tie,
the released code sends the gradient to one of them, ours to all in equal parts.
"""

import torch
from torch import Tensor, nn

from attnbench.attention.base import ModuleOutput
from attnbench.attention.cbam import ConvNorm
from attnbench.attention.per_block import PerBlockAttention
from attnbench.backbones.pooling import average


def pool(x: Tensor, axis: int) -> Tensor:
    """Pool (B, C, H, W) along one axis by maximum and mean: (B, 2, ...) with the other two axes (eq. 1)."""
    return torch.stack([x.amax(axis), average(x, axis).squeeze(axis)], 1)


class TripletModule(nn.Module):
    """Triplet attention: scales (B, C, H, W) by the mean of three gates, each constant along one axis.

    It returns a `ModuleOutput`: `features`, the refined map, and `extras`, the gates `cw` (B, C, 1, W), `hc`
    (B, C, H, 1) and `hw` (B, 1, H, W). It works for any number of channels.

    Example:
        >>> refined, gates = TripletModule()(torch.randn(2, 256, 14, 10))
        >>> refined.shape, gates["hw"].shape
        (torch.Size([2, 256, 14, 10]), torch.Size([2, 1, 14, 10]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.cw, self.hc, self.hw = ConvNorm(), ConvNorm(), ConvNorm()

    def forward(self, x: Tensor) -> ModuleOutput:
        cw = self.cw(pool(x, 2)).sigmoid()[:, 0, :, None, :]
        hc = self.hc(pool(x, 3).transpose(2, 3)).sigmoid()[:, 0].transpose(1, 2)[..., None]
        hw = self.hw(pool(x, 1)).sigmoid()
        return ModuleOutput(x * mean_gate(cw, hc, hw), {"cw": cw, "hc": hc, "hw": hw})


def mean_gate(cw: Tensor, hc: Tensor, hw: Tensor) -> Tensor:
    """Return the mean of the three gates, (B, C, H, W)."""
    return (cw + hc + hw) / 3


class Triplet(PerBlockAttention):
    """Triplet attention in every block.

    Args:
        placement: `residual`, `block`, `stage`, or `auto` (see `PerBlockAttention`).
    """

    name = "triplet"

    def make(self, channels: int) -> nn.Module:
        del channels  # its parameters do not depend on them
        return TripletModule()

    def map_of(self, extras: dict[str, Tensor]) -> Tensor:
        """Return the mean of the three gates, (B, C, H, W)."""
        return mean_gate(**extras)
