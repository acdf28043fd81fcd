"""A classifier that takes pixels: normalisation, logits, probabilities and attention maps in one network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attnbench.classifier import Classifier
from attnbench.data.transforms.normalisation import scale_and_shift
from attnbench.errors import UserError
from attnbench.export.formats import Pixels

INPUT = "pixels"
LOGITS, PROBABILITIES, MAPS = "logits", "probabilities", "maps/"
"""Names of the outputs; a map's follows the prefix."""


class PixelClassifier(nn.Module):
    """A classifier with its normalisation inside.

    Args:
        net: the trained classifier.
        mean: mean of each channel, for values in [0, 1].
        std: standard deviation of each channel, likewise.
        pixels: `uint8`, or `float` for values in [0, 1].
        maps: whether attention maps are outputs too.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, net: Classifier, mean: Sequence[float], std: Sequence[float], pixels: Pixels = "uint8", maps: bool = False
    ) -> None:
        super().__init__()
        self.net, self.pixels, self.maps = net, pixels, maps
        scale, shift = scale_and_shift(mean, std, largest=255 if pixels == "uint8" else 1)
        self.register_buffer("scale", scale[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return `logits` and `probabilities` (B, L), and maps (B, K, h, w) by name, of pixels (B, C, H, W)."""
        return outputs_of(self.net, pixels.float() * self.scale + self.shift, self.maps)

    def draw(self, count: int, height: int, width: int) -> Tensor:
        """Draw random pixels (count, C, height, width) from torch's global generator."""
        drawn = torch.randint(0, 256, (count, len(self.scale), height, width), dtype=torch.uint8)
        return self.take(drawn)

    def take(self, pixels: Tensor) -> Tensor:
        """Return uint8 pixels as this network takes them."""
        return pixels if self.pixels == "uint8" else pixels.float() / 255


def outputs_of(net: Classifier, images: Tensor, maps: bool) -> dict[str, Tensor]:
    """Return what a classifier computes for normalised images (B, C, H, W), by the names of an export's outputs."""
    output = net.output(images)
    logits = output.logits.float()
    found = {LOGITS: logits, PROBABILITIES: logits.softmax(1)}
    if maps:
        found |= {MAPS + name: values.float() for name, values in net.maps(output).items()}
    return found


@torch.no_grad()
def check_maps(network: PixelClassifier, attention: str, size: int) -> None:
    """Raise `UserError` if an exported network cannot have this attention's maps as outputs.

    Args:
        network: with `maps`, in evaluation mode.
        attention: the name of its attention, for messages.
        size: height and width of images.
    """
    try:
        found = network(network.draw(1, size, size))
    except RuntimeError as error:
        reason = "its maps need gradients, which an exported network does not compute"
        raise UserError(f"--maps: attention={attention}: {reason} ({str(error).splitlines()[0]})") from error
    if not any(name.startswith(MAPS) for name in found):
        raise UserError(f"--maps: attention={attention} has no maps")
