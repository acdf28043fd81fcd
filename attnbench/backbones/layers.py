"""Layers that several families of backbones share: convolutions, stems, stages, initialisation, normalisation."""

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Slot, Taps
from attnbench.errors import require_literal

Stem = Literal["cifar", "imagenet"]
StemOption = Literal["auto", Stem]
StemPool = Literal["padded", "ceil"]
"""Max pooling of the ImageNet stem, which halves 112 pixels either way: zero padding by 1, or sizes rounded up."""
StrideIn = Literal["3x3", "1x1"]
"""Convolution in which a bottleneck block halves the resolution."""
Blocks = Sequence[int] | Literal["auto"]
"""Number of blocks in each stage, or `auto` by the depth."""
IMAGENET_STEM_FROM = 128
"""Image side in pixels from which `stem=auto` means the ImageNet stem."""


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Build a 1x1 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Build a 3x3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def choose_stem(stem: StemOption, image_size: int) -> Stem:
    """Resolve `stem=auto` by the image's side in pixels. Raises `OptionError` for an unknown stem."""
    require_literal("stem", stem, StemOption)
    if stem == "auto":
        return "imagenet" if image_size >= IMAGENET_STEM_FROM else "cifar"
    return stem


def make_stem(
    stem: Stem, in_channels: int, channels: int, activate: bool, pool: StemPool = "padded"
) -> tuple[nn.Sequential, int]:
    """Build the first layers; return them and their stride in pixels.

    Args:
        stem: `cifar`: 3x3 convolution, and BN-ReLU if `activate`. `imagenet`: 7x7 convolution with stride 2,
            BN-ReLU, 3x3 max pooling with stride 2 (He et al., CVPR 2016, table 1).
        in_channels: Channels of the images.
        channels: Channels of the stem.
        activate: Whether BN-ReLU follows a `cifar` stem, as in post-activation networks.
        pool: Of the `imagenet` stem: `padded` by 1, or `ceil`: without padding, sizes rounded up, as Caffe pools.

    Raises:
        OptionError: Unknown `pool`.
    """
    require_literal("stem_pool", pool, StemPool)
    if stem == "imagenet":
        convolution = nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)
        pooling = nn.MaxPool2d(3, 2, ceil_mode=True) if pool == "ceil" else nn.MaxPool2d(3, 2, padding=1)
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), pooling), 4
    if activate:
        layers = (conv3x3(in_channels, channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        return nn.Sequential(*layers), 1
    return nn.Sequential(conv3x3(in_channels, channels)), 1


class Stage(nn.Module):
    """A run of blocks (`block0`, `block1`, …) at one resolution, then the point `out`."""

    def __init__(self, blocks: Sequence[nn.Module], channels: int, stride: int) -> None:
        super().__init__()
        for index, block in enumerate(blocks):
            self.add_module(f"block{index}", block)
        self.out = Slot(channels, stride)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        for module in self.children():
            x = module(x, taps)
        return x


MakeBlock = Callable[[int, int, int, int], nn.Module]
"""(input channels, width, stride, stride of the output in image pixels) -> block."""


def make_stages(
    make_block: MakeBlock, widths: Sequence[int], counts: Sequence[int], expansion: int, in_channels: int, at: int
) -> dict[str, Stage]:
    """Build `stage1`, `stage2`, ...; every stage but the first halves the resolution.

    Args:
        make_block: Builds one block.
        widths: Width of each stage's blocks.
        counts: Number of each stage's blocks.
        expansion: Output channels of a block, as a multiple of its width.
        in_channels: Channels of the first stage's input.
        at: Stride of the first stage's input in image pixels.
    """
    stages: dict[str, Stage] = {}
    for index, (width, count) in enumerate(zip(widths, counts, strict=True)):
        stride = 1 if index == 0 else 2
        at *= stride
        channels = width * expansion
        blocks = [make_block(in_channels, width, stride, at)]
        blocks += [make_block(channels, width, 1, at) for _ in range(count - 1)]
        stages[f"stage{index + 1}"] = Stage(blocks, channels, at)
        in_channels = channels
    return stages


def initialise(module: nn.Module) -> None:
    """Initialise convolutions after He et al. (2015) by fan-out, with zero biases; batch normalisation with 1 and 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


class LenientBatchNorm(nn.Module):
    """Mixin: batch normalisation that uses the running statistics for one value per channel in training.

    A batch of one has no variance, and PyTorch raises an error there. Without running statistics, as in networks whose
    weights are randomised, the value is scaled by the weight and the bias alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        norm = cast(nn.BatchNorm2d, self)
        of_batch = self.training or norm.running_mean is None  # without running statistics the batch's are always used
        if not of_batch or x.numel() > x.shape[1]:
            return cast(Tensor, super().forward(x))
        mean = x.new_zeros(x.shape[1]) if norm.running_mean is None else norm.running_mean
        variance = x.new_ones(x.shape[1]) if norm.running_var is None else norm.running_var
        return F.batch_norm(x, mean, variance, norm.weight, norm.bias, training=False, eps=norm.eps)


class BatchNorm1d(LenientBatchNorm, nn.BatchNorm1d):
    """`nn.BatchNorm1d` that accepts a training batch of one."""


class BatchNorm2d(LenientBatchNorm, nn.BatchNorm2d):
    """`nn.BatchNorm2d` that accepts a training batch of one 1x1 map."""
