"""SK, selective kernels: Li, Wang, Hu, Yang, "Selective Kernel Networks", CVPR 2019, arXiv 1903.06586.

    U = U1 + U2, Uk = relu(BN(Fk(X)))      eq. 1, F1 is a 3x3 convolution, F2 a 5x5: in effect, a 3x3 dilated by 2
    z = relu(BN(Wfc mean_ij U_ij))         eq. 2 and 3, with d = max(C/r, L) units (eq. 4)
    a_k = softmax_k(A_k z)                 eq. 5, for each channel
    V = a_1 U1 + a_2 U2                    eq. 6

It takes the place of a convolution instead of refining a map: in every bottleneck of a ResNet or ResNeXt that of the
3x3 convolution and its batch normalisation, as in the paper. SKNet-50 is `backbone=resnext50_32x4d attention=sk`.
Elsewhere, by analogy: in basic blocks the first 3x3 convolution, as in timm; in pre-activation bottlenecks and in
blocks of VGG, MobileNet (depthwise), SqueezeNet and DenseNet the only one. Groups and stride are the replaced
convolution's, so a plain ResNet's 3x3 convolutions double.

Defaults: two branches, r = 16, L = 32. Ours has the parameter names, initial values (PyTorch's defaults) and outputs of
timm's `SelectiveKernel` with `split_input=False`. timm's default differs: each branch reads half of the channels.
"""

from torch import Tensor, nn

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.backbones.densenet import DenseLayer
from attnbench.backbones.layers import BatchNorm2d
from attnbench.backbones.mobilenet import SeparableBlock
from attnbench.backbones.pooling import average
from attnbench.backbones.preact_resnet import PreActBlock
from attnbench.backbones.resnet import BasicBlock, Bottleneck
from attnbench.backbones.squeezenet import Fire
from attnbench.backbones.vgg import ConvBlock
from attnbench.errors import require

SMALLEST = 32
"""L, hidden units at least."""
DILATIONS = (1, 2)
"""Of the branches' 3x3 convolutions."""
LAYERS: dict[type[nn.Module], tuple[str, str | None]] = {
    Bottleneck: ("conv2", "bn2"),
    BasicBlock: ("conv1", "bn1"),
    ConvBlock: ("conv", "bn"),
    SeparableBlock: ("depthwise", "bn1"),
    Fire: ("expand3", None),
    DenseLayer: ("conv2", None),
}
"""The 3x3 convolution of each kind of block, and the batch normalisation between it and its ReLU."""


class Branch(nn.Module):
    """A dilated 3x3 convolution that keeps the size at stride 1, BN, ReLU (eq. 1)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False
        )
        self.bn = BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.bn(self.conv(x)).relu()
        return activated


class Select(nn.Module):
    """The branches' weights a (B, 2, C, 1, 1) from the sum U (B, C, H, W) of their maps (eq. 2 to 5)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc_reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.bn = BatchNorm2d(hidden)
        self.fc_select = nn.Conv2d(hidden, channels * len(DILATIONS), 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn(self.fc_reduce(average(x, 2, 3))).relu()
        weights: Tensor = self.fc_select(hidden).unflatten(1, (len(DILATIONS), -1)).softmax(1)
        return weights


class SKModule(nn.Module):
    """Selective-kernel convolution: (B, C, H, W) to (B, C', H/s, W/s).

    Example:
        >>> SKModule(256, 256)(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Args:
        in_channels: C.
        out_channels: C'.
        stride: s.
        groups: Of the convolutions.
        reduction: r; the hidden layer has C'/r units, rounded down, but at least 32.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, groups: int = 1, reduction: int = 16
    ) -> None:
        super().__init__()
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        self.paths = nn.ModuleList(Branch(in_channels, out_channels, stride, groups, d) for d in DILATIONS)
        self.attn = Select(out_channels, max(out_channels // reduction, SMALLEST))

    def forward(self, x: Tensor) -> Tensor:
        first, second = (path(x) for path in self.paths)
        weights = self.attn(first + second)
        return first * weights[:, 0] + second * weights[:, 1]  # eq. 6


def find_layers(block: nn.Module) -> tuple[str, str | None] | None:
    """Return the names of a block's 3x3 convolution and of its batch normalisation, None if it is of no known kind."""
    if isinstance(block, PreActBlock):  # its batch normalisations belong to the convolutions that follow
        return "conv2" if block.bottleneck else "conv1", None
    return next((names for kind, names in LAYERS.items() if isinstance(block, kind)), None)


class SK(Attention):
    """A selective-kernel convolution in every block, instead of its 3x3 convolution.

    Args:
        reduction: r of each `SKModule`.
    """

    def __init__(self, reduction: int = 16) -> None:
        super().__init__()
        require(reduction >= 1, "reduction", reduction, "must be at least 1")
        self.reduction = reduction

    def attach(self, backbone: Backbone) -> None:
        found = {path: find_layers(block) for path, block in backbone.named_modules()}
        blocks = {path: names for path, names in found.items() if names is not None}
        if not blocks:
            raise NotImplementedError("this backbone has no blocks of one known 3x3 convolution to replace")
        for path, (convolution, norm) in blocks.items():
            backbone.replace(f"{path}.{convolution}", self.make(backbone.get_submodule(f"{path}.{convolution}")))
            if norm is not None:
                backbone.replace(f"{path}.{norm}", nn.Identity())

    def make(self, convolution: nn.Module) -> SKModule:
        """Build a module for the place of a 3x3 convolution."""
        assert isinstance(convolution, nn.Conv2d)
        stride, groups = convolution.stride[0], convolution.groups
        return SKModule(convolution.in_channels, convolution.out_channels, stride, groups, self.reduction)
