"""Training images that are mixed with another of their batch: mixup and CutMix.

- Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412: pixels and labels are averaged
  with a weight from Beta(a, a).
- Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019, arXiv
  1905.04899: a box of the other image is pasted in, and its share of the area is the other label's share.

Every image draws its own method, weight and box. The released codes draw one for each batch; timm calls ours the mode
`elem`. The other image is the one before it in the batch, which is a random one, as epochs are shuffled. On several
devices it is the one before it in the device's part of the batch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnbench.data.transforms.boxes import box_masks, clipped_boxes
from attnbench.errors import require


@dataclass(frozen=True)
class MixingOptions:
    """How images are mixed.

    Attributes:
        mixup: parameter of mixup's Beta distribution; 0: no mixup.
        cutmix: that of CutMix's; 0: no CutMix.
        mix_probability: probability that an image is mixed.
        mix_switch: probability of CutMix instead of mixup, where both are on.
    """

    mixup: float
    cutmix: float
    mix_probability: float
    mix_switch: float

    def check_mixing(self) -> None:
        """Raise `OptionError` for a value out of range."""
        for key in ("mixup", "cutmix"):
            value = getattr(self, key)
            require(0 <= value <= 100, key, value, "must be in [0, 100]: it is the parameter of a Beta distribution")
        for key in ("mix_probability", "mix_switch"):
            value = getattr(self, key)
            require(0 <= value <= 1, key, value, "must be in [0, 1]: it is a probability")

    @property
    def mixes(self) -> bool:
        """Whether any image is mixed."""
        return (self.mixup > 0 or self.cutmix > 0) and self.mix_probability > 0


class Mixing:
    """How each of N images of an epoch, in the order of the epoch, is mixed with the image before it.

    Args:
        options: see `MixingOptions`.
        count: N.
        height: of the images.
        width: of the images.
        seed: of the epoch.
        device: where images are.

    Attributes:
        edges: (N, 4) int64, the box that is mixed: top, bottom, left and right edge; the whole image in mixup.
        weight: (N,), the other image's weight inside the box; 1 in CutMix.
        share: (N,), the other label's share of the target.
    """

    def __init__(
        self, options: MixingOptions, count: int, height: int, width: int, seed: int, device: torch.device
    ) -> None:
        generator = np.random.default_rng(seed)
        kept, cut = _draw_weights(options, count, generator)
        size = np.array([height, width])
        halves = (np.sqrt(1 - kept)[:, None] / 2 * size).astype(np.int64)
        boxes = clipped_boxes(generator.integers(size, size=(count, 2)), halves, height, width)
        area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / (height * width)
        whole = np.array([0, height, 0, width])
        self.edges = torch.from_numpy(np.where(cut[:, None], boxes, whole)).to(device)
        self.weight = torch.from_numpy(np.where(cut, 1, 1 - kept).astype(np.float32)).to(device)
        self.share = torch.from_numpy(np.where(cut, area, 1 - kept).astype(np.float32)).to(device)

    def images(self, images: Tensor, mine: slice) -> Tensor:
        """Return mixed images (B, C, H, W); `mine` are the positions of the B images in the epoch."""
        weights = box_masks(self.edges[mine], *images.shape[2:]) * self.weight[mine, None, None, None]
        return torch.lerp(images, rolled(images), weights.to(images.dtype))

    def targets(self, targets: Tensor, mine: slice) -> Tensor:
        """Return the mixed targets of probabilities (B, L)."""
        return torch.lerp(targets, rolled(targets), self.share[mine, None])

    def dominant(self, labels: Tensor, mine: slice) -> Tensor:
        """Return for each label (B,) the one of the two mixed images whose share is larger."""
        return torch.where(self.share[mine] > 0.5, rolled(labels), labels)


def _draw_weights(
    options: MixingOptions, count: int, generator: np.random.Generator
) -> tuple[np.typing.NDArray[np.float64], np.typing.NDArray[np.bool_]]:
    """Return each image's own weight (N,), 1 where it is not mixed, and whether it is mixed by CutMix (N,)."""
    mixed, switched = generator.random((2, count)) < [[options.mix_probability], [options.mix_switch]]
    cut = mixed & (options.cutmix > 0) & (switched | (options.mixup == 0))
    parameters = np.where(cut, options.cutmix, options.mixup or 1.0)  # where neither counts, any will do
    return np.where(mixed, generator.beta(parameters, parameters), 1.0), cut


def rolled(batch: Tensor) -> Tensor:
    """Return a batch (B, ...) in which each sample is replaced by the one before it, and the first by the last.

    `torch.roll` would leave the channels_last format.
    """
    return torch.cat([batch[-1:], batch[:-1]])
