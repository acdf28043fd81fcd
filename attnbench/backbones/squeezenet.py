"""SqueezeNet 1.1: Iandola et al., "SqueezeNet: AlexNet-level Accuracy with 50x Fewer Parameters and <0.5MB Model Size",
arXiv 1602.07360, 2016, in the authors' revision 1.1 (a 3x3 stem, earlier pooling), which BAM's table 3b has.

A fire module squeezes by 1x1 convolutions and expands by 1x1 and 3x3 ones, side by side, each with ReLU; there is no
batch normalisation. Three stages of 2, 2 and 4 fire modules, 3x3 max pooling with stride 2 before each. The classifier
is a 1x1 convolution on the map, after dropout; its ReLU comes before the global average, so logits are never negative.

As in torchvision's `squeezenet1_1`, the ImageNet stem does not pad, and pooling rounds sizes up: 224 pixels give maps
of 55, 27 and 13. On small images (`stem=cifar`, ours) the stem has stride 1 and no pooling follows it.

Table 3b prints 0.290 GMACs at 224 pixels; these layers, and torchvision's, take 0.349. The printed number is
inferred to count maps of 112, 56, 28 and 14, biases too, and the classifier as a linear layer after pooling. BAM adds
13.0 MMACs (printed: 0.014).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Features, Slot, Taps
from attnbench.backbones.layers import Stage, Stem, StemOption, choose_stem
from attnbench.backbones.pooling import global_average
from attnbench.errors import require

STAGES = ((1, 1), (2, 2), (3, 3, 4, 4))
"""Width of each fire module in each stage, in units of the first's."""


class Fire(nn.Module):
    """Squeeze to a quarter of `width` channels, expand to twice `width`; point `out`."""

    def __init__(self, in_channels: int, width: int, at: int) -> None:
        super().__init__()
        squeezed = width // 4
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1, self.expand3 = nn.Conv2d(squeezed, width, 1), nn.Conv2d(squeezed, width, 3, padding=1)
        self.out = Slot(2 * width, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        x = F.relu(self.squeeze(x), inplace=True)
        result: Tensor = self.out(F.relu(torch.cat([self.expand1(x), self.expand3(x)], 1), inplace=True), taps)
        return result


def pool(x: Tensor) -> Tensor:
    """Pool (B, C, H, W) by maxima of 3x3 with stride 2; sizes are rounded up."""
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)


def initialise_without_norm(module: nn.Module) -> None:
    """Initialise after He et al. by fan-in, which keeps the scale of activations where nothing normalises them."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


class SqueezeNet(Backbone):
    """SqueezeNet 1.1.

    Args:
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        width: Channels of the stem, a multiple of 4; fire modules are scaled alike.
        dropout: Probability, before the classifier.
        stem: `imagenet`, `cifar`, or `auto` by `image_size`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 224,
        width: int = 64,
        dropout: float = 0.5,
        stem: StemOption = "auto",
    ) -> None:
        super().__init__()
        require(width >= 4 and width % 4 == 0, "width", width, "must be a positive multiple of 4")
        require(0 <= dropout < 1, "dropout", dropout, "must be in [0, 1)")
        self.num_classes, self.image_size = num_classes, image_size
        self.stem, at = self._make_stem(choose_stem(stem, image_size), in_channels, width)
        channels = width
        for index, factors in enumerate(STAGES, start=1):
            at = at if index == 1 else 2 * at
            inputs = [channels, *(2 * width * factor for factor in factors)]
            fires = [Fire(before, width * factor, at) for before, factor in zip(inputs, factors, strict=False)]
            channels = inputs[-1]
            self.add_module(f"stage{index}", Stage(fires, channels, at))
        self.stages = tuple(f"stage{index}" for index in range(1, len(STAGES) + 1))
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        classify = nn.Conv2d(channels, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), classify, nn.ReLU(inplace=True))
        initialise_without_norm(self)
        nn.init.normal_(classify.weight, std=0.01)  # as released
        self.register_points()

    @staticmethod
    def _make_stem(stem: Stem, in_channels: int, width: int) -> tuple[nn.Sequential, int]:
        relu = nn.ReLU(inplace=True)
        if stem == "cifar":
            return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), relu), 1
        pooling = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        return nn.Sequential(nn.Conv2d(in_channels, width, 3, stride=2), relu, pooling), 4

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = self.stem(x)
        for stage in self.running_stages:
            x = getattr(self, stage)(x if stage == self.stages[0] else pool(x), taps)
        return x

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, L), the global average of the classifier's maps (B, L, h, w)."""
        maps: Tensor = self.classifier(features.final)
        return global_average(maps)

    def make_block(self, stage: str) -> nn.Module:
        channels, stride = self.points[f"{stage}.out"]
        block = Fire(channels, channels // 2, stride)
        initialise_without_norm(block)
        return block
