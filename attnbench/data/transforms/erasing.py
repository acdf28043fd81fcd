"""Training images of which a box is erased: random erasing and cutout.

- Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, arXiv 1708.04896, algorithm 1: a box of a random area and
  aspect ratio that lies within the image, filled with the mean or with noise. Bounds and tries are torchvision's.
- DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552: a square
  of a fixed size around a random pixel, so that a part of it may lie outside the image, filled with the mean.

Every image draws its own box. The mean is 0, as images are normalised.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnbench.data.transforms.boxes import Integers, box_masks, clipped_boxes
from attnbench.data.transforms.crop_params import TRIES, extents, log_uniform
from attnbench.errors import require, require_choice
from attnbench.seeding import derive_seed

RATIO = (1 / 3.3, 1 / 0.3)
"""Bounds of a box's aspect ratio, width over height; torchvision's are of height over width."""
FILLS = ("mean", "noise")


@dataclass(frozen=True)
class ErasingOptions:
    """What is erased of images.

    Attributes:
        erasing: probability of random erasing.
        erasing_area: bounds of the erased share of the area.
        erasing_fill: `mean`, or `noise`: normally distributed values for every pixel.
        cutout: side of cutout's square in pixels; 0: no cutout. An odd number is rounded down, as in the authors' code.
    """

    erasing: float
    erasing_area: list[float]
    erasing_fill: str
    cutout: int

    def check_erasing(self) -> None:
        """Raise `OptionError` for a value out of range."""
        require(0 <= self.erasing <= 1, "erasing", self.erasing, "must be in [0, 1]: it is a probability")
        rising = len(self.erasing_area) == 2 and 0 < self.erasing_area[0] <= self.erasing_area[1] <= 1
        require(rising, "erasing_area", self.erasing_area, "must be two shares of the area in rising order")
        require_choice("erasing_fill", self.erasing_fill, FILLS)
        require(self.cutout == 0 or self.cutout >= 2, "cutout", self.cutout, "must be at least 2 pixels, or 0")

    @property
    def erases(self) -> bool:
        """Whether anything is erased."""
        return self.erasing > 0 or self.cutout > 0


class Erasing:
    """What is erased of each of N images of an epoch, in the order of the epoch.

    Args:
        options: see `ErasingOptions`.
        count: N.
        height: of the images.
        width: of the images.
        seed: of the epoch; also draws the noise.
        device: where images are.

    Attributes:
        boxes: (N, 4) int64, top, bottom, left and right edge of random erasing's box, which may be empty.
        squares: likewise of cutout's square.
    """

    def __init__(
        self, options: ErasingOptions, count: int, height: int, width: int, seed: int, device: torch.device
    ) -> None:
        self.noise, self.seed = options.erasing_fill == "noise", seed
        generator = np.random.default_rng(seed)
        size = np.array([height, width])
        self.boxes: Tensor | None = None
        self.squares: Tensor | None = None
        if options.erasing:
            self.boxes = torch.from_numpy(draw_boxes(options, count, height, width, generator)).to(device)
        if options.cutout:
            halves = np.full((count, 2), options.cutout // 2)
            squares = clipped_boxes(generator.integers(size, size=(count, 2)), halves, height, width)
            self.squares = torch.from_numpy(squares).to(device)

    def erase(self, images: Tensor, mine: slice) -> Tensor:
        """Return images (B, C, H, W) with boxes erased; `mine` are the positions of the B images in the epoch."""
        shape = images.shape[2:]
        if self.boxes is not None:
            filling = self._noise(images, mine) if self.noise else 0.0
            images = torch.where(box_masks(self.boxes[mine], *shape), filling, images)
        return images if self.squares is None else images.masked_fill(box_masks(self.squares[mine], *shape), 0)

    def _noise(self, images: Tensor, mine: slice) -> Tensor:
        generator = torch.Generator(images.device).manual_seed(derive_seed(self.seed, "noise", mine.start))
        return torch.empty_like(images).normal_(generator=generator)


def draw_boxes(
    options: ErasingOptions, count: int, height: int, width: int, generator: np.random.Generator
) -> Integers:
    """Draw random erasing's boxes (N, 4); empty where nothing is erased, or no try fitted."""
    boxes, size = np.zeros((count, 4), np.int64), np.array([height, width])
    open_ones = np.flatnonzero(generator.random(count) < options.erasing)
    for _ in range(TRIES):
        low, high = options.erasing_area
        share, ratio = generator.uniform(low, high, len(open_ones)), generator.random(len(open_ones))
        extent = extents(share * height * width, log_uniform(ratio, *RATIO))
        fits = (extent < size).all(axis=1)
        corner = generator.integers(size - extent[fits] + 1)
        edges = np.stack([corner, corner + extent[fits]], axis=2)  # (n, 2, 2): rows and columns, from and to
        boxes[open_ones[fits]] = edges.reshape(-1, 4)
        open_ones = open_ones[~fits]
    return boxes
