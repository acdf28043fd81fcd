"""VGG: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, arXiv
1409.1556.

Five stages of 3x3 convolutions with ReLU (table 1, columns A, B, D, E), a 2x2 max pooling after each. `batch_norm`,
which the paper has not, normalises after each convolution, as in torchvision's `vgg16_bn`.

`features.final` is the map after the fifth pooling, the last that the head reads: 512x7x7 of 224 pixels, 512x14x14 of
448. GGAM attends to this one. Its released VGG scripts do too, at 224 pixels; at 448 they would average it to 7x7
first, which belongs to the original head here. The point `stage5.out` is before the fifth pooling, at twice the size.

Heads: `original`, two layers of 4096 units with dropout on the map averaged to 7x7, as in torchvision's networks;
`linear`, a linear layer on the global average, as CIFAR's versions of VGG have it. Of 32 pixels, five poolings leave
one, on which a spatial map has nothing to weigh. A side of one pixel is pooled no further, so smaller images pass too.

Parameters are initialised as in torchvision: convolutions after He et al., linear layers at random with deviation 0.01.
BAM stands where pooling and a further stage follow: at the end of all stages but the last.
"""

from collections.abc import Mapping
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights

from attnbench.backbones.base import Backbone, Features, Slot, Taps
from attnbench.backbones.layers import IMAGENET_STEM_FROM, Stage, initialise
from attnbench.errors import require, require_literal

Depth = Literal[11, 13, 16, 19]
Head = Literal["original", "linear"]
HeadOption = Literal["auto", Head]

LAYERS: dict[Depth, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Depth -> convolutions in each stage (table 1)."""
FACTORS = (1, 2, 4, 8, 8)
"""Channels of each stage, as a multiple of the first's."""
SIDE = 7
"""Side of the original head's input map."""


class ConvBlock(nn.Module):
    """3x3 convolution with bias, BN if wanted, ReLU; point `out`."""

    def __init__(self, in_channels: int, channels: int, batch_norm: bool, at: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
        self.out = Slot(channels, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        result: Tensor = self.out(F.relu(self.bn(self.conv(x)), inplace=True), taps)
        return result


class Pooling(nn.MaxPool2d):
    """2x2 max pooling; a side of one pixel stays."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, (min(2, x.shape[2]), min(2, x.shape[3])), ceil_mode=self.ceil_mode)


def original_head(channels: int, hidden: int, dropout: float, num_classes: int) -> nn.Sequential:
    """Build the layers from the flattened map (B, C, 7, 7) to logits (B, L), numbered as in torchvision."""
    layers: list[nn.Module] = []
    for inputs in (channels * SIDE**2, hidden):
        layers += [nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden, num_classes))


class VGG(Backbone):
    """VGG-depth.

    Args:
        depth: 11, 13, 16 or 19.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        batch_norm: Normalise after each convolution.
        width: Channels of the first stage.
        head: `original`, `linear`, or `auto`: linear below 128 pixels.
        hidden: Units of the original head's hidden layers.
        dropout: Probability in the original head.
    """

    def __init__(
        self,
        depth: Depth,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 224,
        batch_norm: bool = False,
        width: int = 64,
        head: HeadOption = "auto",
        hidden: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_literal("depth", depth, Depth)
        require_literal("head", head, HeadOption)
        for key, value in (("width", width), ("hidden", hidden)):
            require(value >= 1, key, value, "must be at least 1")
        require(0 <= dropout < 1, "dropout", dropout, "must be in [0, 1)")
        if head == "auto":
            head = "original" if image_size >= IMAGENET_STEM_FROM else "linear"
        self.num_classes, self.image_size, self.batch_norm, self.head = num_classes, image_size, batch_norm, head
        self.depth: Depth = depth
        self.pooling = Pooling(2)
        channels = in_channels
        for index, (count, factor) in enumerate(zip(LAYERS[depth], FACTORS, strict=True)):
            inputs = [channels, *[width * factor] * count]
            channels, at = inputs[-1], 2**index
            blocks = [ConvBlock(before, channels, batch_norm, at) for before in inputs[:-1]]
            self.add_module(f"stage{index + 1}", Stage(blocks, channels, at))
        self.stages = tuple(f"stage{index + 1}" for index in range(len(FACTORS)))
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        linear = head == "linear"
        self.classifier = (
            nn.Linear(channels, num_classes) if linear else original_head(channels, hidden, dropout, num_classes)
        )
        initialise(self)
        for layer in self.classifier.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        self.register_points()

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        running = self.running_stages
        for stage in running:
            x = getattr(self, stage)(x if stage == self.stages[0] else self.pooling(x), taps)
        return self.pooling(x) if running == self.stages else x

    def classify(self, features: Features) -> Tensor:
        """Return logits (B, L) of the final map (B, C, h, w), averaged to 7x7 or, for the linear head, to 1x1."""
        side = 1 if self.head == "linear" else SIDE
        logits: Tensor = self.classifier(F.adaptive_avg_pool2d(features.final, side).flatten(1))
        return logits

    def make_block(self, stage: str) -> nn.Module:
        channels, stride = self.points[f"{stage}.out"]
        block = ConvBlock(channels, channels, self.batch_norm, stride)
        initialise(block)
        return block

    # weights: torchvision's, which numbers convolutions, normalisations, ReLUs and poolings on end

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        paths, number = {}, 0
        for stage, count in zip(self.stages, LAYERS[self.depth], strict=True):
            for block in range(count):
                for layer in ("conv", "bn")[: 1 + self.batch_norm]:
                    paths[f"features.{number}"] = f"{stage}.block{block}.{layer}"
                    number += 1
                number += 1  # ReLU
            number += 1  # pooling
        split = {name: name.rpartition(".") for name in state}
        return {
            f"{paths.get(path, path)}.{leaf}" if path else leaf: state[name] for name, (path, _, leaf) in split.items()
        }

    def check_weights_source(self, source: str | None) -> None:
        del source  # a file, or torchvision's

    def default_weights(self) -> str:
        return str(self._torchvision_weights())

    def fetch_default_weights(self) -> Mapping[str, Tensor]:
        return self._torchvision_weights().get_state_dict(progress=False, check_hash=True)

    def _torchvision_weights(self) -> WeightsEnum:
        weights: WeightsEnum = get_model_weights(f"vgg{self.depth}{'_bn' * self.batch_norm}").DEFAULT
        return weights
