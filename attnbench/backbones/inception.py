"""A residual network of Inception units, the backbone of AttentionInception-56 (Wang et al., CVPR 2017, section 4.2).

The paper says that its attention modules also work with Inception, "simplified" such that parameters and FLOPs stay
"in the same scale" as those of AttentionNeXt-56: table 7 prints 31.9 M and 6.3 G for both. It gives no layers, and the
authors released none. That size is all it determines. From Attention-56 (table 2) we take the module, the layout (one
unit before each of the first three stages' modules, three in the fourth) and stages of 256 to 2048 channels; the name
counts three layers a unit, though the longest way through ours has four.

The unit is ours: block A of Inception-ResNet (Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of
Residual Connections on Learning", AAAI 2017, arXiv 1602.07261, figure 10). Of its three branches

    1x1                 w/4
    1x1, 3x3            w/2, w
    1x1, 3x3, 3x3       w/4, w/4, w/2

the concatenation is projected to 4w channels by a 1x1 convolution, added to the shortcut, and passes a ReLU. Widths
are quarters of the stage's w = 64 to 512 such that AttentionInception-56 has 32.1 M parameters and 6.26 GMACs.
As there, BN and ReLU follow each convolution; unlike there, BN follows the projection too, and the residual is not
scaled. A unit that halves the resolution does so in each branch's first 3x3 convolution, or its only 1x1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Slot, Taps
from attnbench.backbones.layers import StemOption, conv1x1, conv3x3
from attnbench.backbones.residual_stages import EXPANSION, StagedNet
from attnbench.backbones.resnet import make_shortcut
from attnbench.errors import require


def branch(*convolutions: nn.Conv2d) -> nn.Sequential:
    """Build a run of convolutions, each followed by BN-ReLU."""
    layers: list[nn.Module] = []
    for convolution in convolutions:
        layers += [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class InceptionUnit(nn.Module):
    """Three branches, a projection and a shortcut; points `residual` (before the sum) and `out` (after the ReLU)."""

    def __init__(self, in_channels: int, width: int, stride: int, at: int) -> None:
        super().__init__()
        quarter, half, channels = width // 4, width // 2, width * EXPANSION["bottleneck"]
        self.branch1 = branch(conv1x1(in_channels, quarter, stride))
        self.branch2 = branch(conv1x1(in_channels, half), conv3x3(half, width, stride))
        self.branch3 = branch(conv1x1(in_channels, quarter), conv3x3(quarter, quarter, stride), conv3x3(quarter, half))
        self.project, self.bn = conv1x1(quarter + width + half, channels), nn.BatchNorm2d(channels)
        self.shortcut = make_shortcut("projection", in_channels, channels, stride)
        self.residual, self.out = Slot(channels, at), Slot(channels, at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        y = torch.cat([self.branch1(x), self.branch2(x), self.branch3(x)], 1)
        y = self.residual(self.bn(self.project(y)), taps)
        result: Tensor = self.out(F.relu(y + self.shortcut(x), inplace=True), taps)
        return result


class InceptionResNet(StagedNet):
    """Post-activation residual network of Inception units.

    Args:
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        width: w of the first stage, a multiple of 4, and the channels of the stem.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        blocks: Units in each stage; every stage but the first halves the resolution and doubles the width.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        width: int = 64,
        stem: StemOption = "auto",
        blocks: Sequence[int] = (1, 1, 1, 3),
    ) -> None:
        require(width >= 4 and width % 4 == 0, "width", width, "must be a positive multiple of 4")
        sound = len(blocks) > 0 and min(blocks) >= 1
        require(sound, "blocks", list(blocks), "must be a positive number for each stage")
        super().__init__(
            InceptionUnit,
            EXPANSION["bottleneck"],
            widths=[width * 2**index for index in range(len(blocks))],
            counts=blocks,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=width,
        )
