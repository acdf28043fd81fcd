"""The network of "Attend and Rectify" (Rodríguez et al., ECCV 2018, section 4.1) on Cluttered Translated MNIST.

As in the authors' development code (prlz77/painless-attention.pytorch, branch dev, models/mnist_baseline.py), for
images of 40x40; convolutions have no padding, but for the fourth, and no bias:

    BN
    stage1   5x5, 32     max pooling   ReLU   BN     18x18
    stage2   3x3, 64     max pooling   ReLU   BN      8x8
    stage3   3x3, 128                  ReLU   BN      6x6
    stage4   3x3, 128, padded          ReLU   BN      6x6
    stage5   3x3, 128                  ReLU   BN      4x4
    hidden   linear 2048 to 256        ReLU   BN
    classifier   linear 256 to 10

That is 916,460 parameters. The paper's text differs from the code: five 3x3 convolutions, three poolings. Weights are
drawn after He et al. (2015) by fan-in, as the authors say without saying more; biases begin at zero.

It does not pool globally, so it takes images of one size only, the size it is built for. Without padding its maps
cover less than the image: pixel p of stage 5 is centred at 4p + 13.5 of the image, not at 10p + 4.5.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.backbones.layers import BatchNorm1d, BatchNorm2d
from attnbench.errors import require

STAGES = (
    # kernel, padding, width as a multiple of the first, whether pooling follows
    (5, 0, 1, True),
    (3, 0, 2, True),
    (3, 0, 4, False),
    (3, 1, 4, False),
    (3, 0, 4, False),
)
SMALLEST = 28
"""Side in pixels of the images whose last map has one pixel."""


class Layer(nn.Module):
    """Convolution, perhaps max pooling, ReLU, BN; points `unpooled`, where pooling follows, and `out`."""

    def __init__(self, in_channels: int, width: int, kernel: int, padding: int, pooled: bool, at: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding=padding, bias=False)
        self.unpooled = Slot(width, at) if pooled else None
        self.norm = BatchNorm2d(width)
        self.out = Slot(width, 2 * at if pooled else at)

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        x = self.conv(x)
        if self.unpooled is not None:
            x = F.max_pool2d(self.unpooled(x, taps), 2)
        result: Tensor = self.out(self.norm(F.relu(x)), taps)
        return result


class ClutteredMNISTCNN(Backbone):
    """Five convolutions and two linear layers.

    Args:
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side in pixels, at least 28; the linear layer's inputs follow from it.
        width: Channels of the first stage; further ones have 2, 4, 4 and 4 times as many.
        hidden: Units of the hidden layer, the classifier's input.
    """

    image_size: int

    def __init__(
        self, num_classes: int, in_channels: int = 1, image_size: int = 40, width: int = 32, hidden: int = 256
    ) -> None:
        super().__init__()
        require(width >= 1, "width", width, "must be at least 1")
        require(hidden >= 1, "hidden", hidden, "must be at least 1")
        if image_size < SMALLEST:
            raise ValueError(f"takes images from {SMALLEST}x{SMALLEST} on; these are {image_size}x{image_size}")
        self.norm = BatchNorm2d(in_channels)
        channels, side, at = in_channels, image_size, 1
        for index, (kernel, padding, factor, pooled) in enumerate(STAGES):
            layer = Layer(channels, factor * width, kernel, padding, pooled, at)
            self.add_module(f"stage{index + 1}", layer)
            channels, at = layer.out.channels, layer.out.stride
            side = (side - kernel + 1 + 2 * padding) // (2 if pooled else 1)
        layers = (nn.Flatten(), nn.Linear(channels * side**2, hidden), nn.ReLU(inplace=True), BatchNorm1d(hidden))
        self.hidden: nn.Module | None = nn.Sequential(*layers)
        self.classifier = nn.Linear(hidden, num_classes)
        self.stages = tuple(f"stage{index + 1}" for index in range(len(STAGES)))
        self.bottlenecks = ("stage1.unpooled", "stage2.unpooled")
        self.num_classes, self.image_size, self.hidden_units = num_classes, image_size, hidden
        self._initialise()
        self.register_points()

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        size, height, width = self.image_size, x.shape[2], x.shape[3]
        if (height, width) != (size, size):
            raise ValueError(f"this network is built for images of {size}x{size}, not {height}x{width}")
        x = self.norm(x)
        for stage in self.running_stages:
            x = getattr(self, stage)(x, taps)
        return x

    @property
    def pooled_channels(self) -> int:
        return self.hidden_units

    def pool(self, final: Tensor) -> Tensor | None:
        """Return the hidden units (B, hidden); None once they are removed, and where evaluation exits before them."""
        leaves = not self.training and self.exit_after is not None
        return None if self.hidden is None or leaves else self.hidden(final)

    def remove_classifier(self, keep_pooled: bool = False) -> None:
        super().remove_classifier(keep_pooled)
        if not keep_pooled:
            self.hidden = None
