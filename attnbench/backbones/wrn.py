"""Wide residual networks: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, arXiv 1605.07146.

WRN-d-k is the pre-activation network of basic blocks with depth d = 6n+4 (the projections count as layers), a stem of
16 channels and stages of width 16k, 32k and 64k, optionally with dropout between the two convolutions of a block.

Defaults: shortcuts and dropout are those of the authors' code, where a projection reads the shared pre-activation and
dropout drops single values. Convolutions start after He et al. (2015) by fan-out, as in the other residual networks
here; the authors' code scales them by fan-in (`init=fan_in`). In the first block the deviations then are sqrt(k) times
as large: 3.2 times in WRN-28-10.

The networks of "Attend and Rectify" (prlz77/attend-and-rectify, 3664c86; see attention/gated.py) differ in four
options: `shortcut_input=raw`, `init=fan_in`, `dropout_kind=channel`, and, with attention only, `stem_norm=true`.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.layers import StemOption, choose_stem
from attnbench.backbones.preact_resnet import PreActBlock, PreActNet, ShortcutInput
from attnbench.errors import require, require_literal

DropoutKind = Literal["element", "channel"]
"""What dropout drops: single values, or whole channels of an image."""
Init = Literal["fan_out", "fan_in"]
"""Number of connections by which initial weights are scaled."""


class ChannelDropoutConv2d(nn.Conv2d):
    """Convolution that drops whole channels of its input in training.

    Args:
        convolution: Convolution whose sizes and weights it takes; without bias, at stride 1.
        dropout: Probability of dropping a channel.
    """

    def __init__(self, convolution: nn.Conv2d, dropout: float) -> None:
        padding, (kernel, _) = convolution.kernel_size[0] // 2, convolution.kernel_size
        super().__init__(convolution.in_channels, convolution.out_channels, kernel, padding=padding, bias=False)
        self.weight, self.dropout = convolution.weight, dropout

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout2d(x, self.dropout, self.training))


class WideResNet(PreActNet):
    """WRN-depth-width.

    Args:
        depth: 6n+4.
        width: The widening factor k.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.
        dropout: Probability of dropping between a block's convolutions.
        stem: `cifar`, `imagenet`, or `auto` by `image_size`.
        stem_width: Channels of the stem, and of the first stage before widening.
        shortcut_input: Input of the projections: `preactivation` (WRN's code), or `raw`, the sum before it (released
            code of Attend and Rectify).
        dropout_kind: Drop single values (`element`, WRN's code), or whole channels (`channel`, Attend and Rectify).
        stem_norm: Add BN-ReLU after the CIFAR stem's convolution, as in Attend and Rectify's networks with attention.
        init: `fan_out`, or `fan_in`, which draws the classifier's weights by the same rule (both released codes).

    Raises:
        OptionError: An option has an invalid value, or the stem has BN-ReLU without `stem_norm`.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        image_size: int = 32,
        dropout: float = 0.0,
        stem: StemOption = "auto",
        stem_width: int = 16,
        shortcut_input: ShortcutInput = "preactivation",
        dropout_kind: DropoutKind = "element",
        stem_norm: bool = False,
        init: Init = "fan_out",
    ) -> None:
        require(depth >= 10 and (depth - 4) % 6 == 0, "depth", depth, "must be 6n+4 (10, 16, 22, 28, 40)")
        require(width >= 1, "width", width, "must be at least 1")
        require(0 <= dropout < 1, "dropout", dropout, "must be in [0, 1)")
        require(stem_width >= 1, "stem_width", stem_width, "must be at least 1")
        require_literal("shortcut_input", shortcut_input, ShortcutInput)
        require_literal("dropout_kind", dropout_kind, DropoutKind)
        require_literal("init", init, Init)
        base = stem_width * width
        super().__init__(
            widths=(base, 2 * base, 4 * base),
            counts=((depth - 4) // 6,) * 3,
            block="basic",
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            stem=stem,
            stem_width=stem_width,
            shortcut_input=shortcut_input,
            dropout=0.0 if dropout_kind == "channel" else dropout,
        )
        self.init, self.channel_dropout = init, dropout if dropout_kind == "channel" else 0.0
        if stem_norm:
            normed = choose_stem(stem, image_size) == "imagenet"
            require(not normed, "stem_norm", stem_norm, "is for stem=cifar: the imagenet stem has BN-ReLU anyway")
            self.stem.append(nn.BatchNorm2d(stem_width)).append(nn.ReLU(inplace=True))
        self._adapt(self)

    def make_block(self, stage: str) -> nn.Module:
        return self._adapt(super().make_block(stage))

    def _adapt(self, module: nn.Module) -> nn.Module:
        """Put dropout of channels into a block, or all blocks, and draw weights by fan-in, where options say so."""
        if self.channel_dropout > 0:
            for block in [m for m in module.modules() if isinstance(m, PreActBlock)]:
                block.conv2 = ChannelDropoutConv2d(block.conv2, self.channel_dropout)
        if self.init == "fan_in":
            for layer in module.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        return module
