"""Windows and flips of images, drawn per image, and the boxes that result from them.

Uses NumPy only; `attnbench.data.transforms.crop_resize` applies the parameters to pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CROPS = ("random", "random_resized", "center")
SCALE = (0.08, 1.0)
"""Bounds of the share of the area that a random resized crop covers (Szegedy et al., CVPR 2015, section 6)."""
RATIO = (3 / 4, 4 / 3)
"""Bounds of its aspect ratio, width over height; its logarithm is uniform."""
TRIES = 10
"""Windows that are tried before the largest central one is taken, as in torchvision."""
DRAWS = 24
"""Uniform random numbers per image: two for each try, two for the position, one for the flip, and one unused, because
the generator advances in steps of four."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CropParams:
    """Crop, flip and output size of each of N images.

    Attributes:
        windows: (N, 4), left, top, width and height in pixels of the stored image.
        flips: (N,), whether the crop is mirrored.
        size: height and width that each window is resized to.
    """

    windows: Integers
    flips: NDArray[np.bool_]
    size: int

    def boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform boxes (N, 4) of stored images (left, top, right, bottom) to the crops, clipped at their borders.

        A box outside its window becomes an empty one at the border.
        """
        corner, extent = self.windows[:, :2], self.windows[:, 2:]
        left, top, right, bottom = ((boxes - np.tile(corner, 2)) * (self.size / np.tile(extent, 2))).T
        mirrored = np.where(self.flips, self.size - right, left), np.where(self.flips, self.size - left, right)
        moved = np.stack([mirrored[0], top, mirrored[1], bottom], axis=1)
        return np.clip(moved, 0, self.size).astype(np.float32)


def stored_boxes(boxes: NDArray[np.float32], shapes: Integers) -> NDArray[np.float32]:
    """Scale boxes (N, 4) of original images to the stored ones.

    Args:
        boxes: left, top, right and bottom edges in pixels.
        shapes: (N, 4), stored height and width, then original height and width.
    """
    factors = shapes[:, [1, 0, 1, 0]] / shapes[:, [3, 2, 3, 2]]
    return (boxes * factors).astype(np.float32)


def center_crops(shapes: Integers, size: int) -> CropParams:
    """Return the central crop of `size` pixels of each image, whose heights and widths are `shapes` (N, 2)."""
    top, left = np.rint((shapes - size) / 2).astype(np.int64).T  # halves to even, as torchvision's center_crop
    windows = np.stack([left, top, np.full_like(left, size), np.full_like(left, size)], axis=1)
    return CropParams(windows, np.zeros(len(shapes), np.bool_), size)


def draw_crops(crop: str, flip: bool, shapes: Integers, size: int, draws: NDArray[np.float64]) -> CropParams:
    """Compute crops for training from uniform random numbers.

    Args:
        crop: one of `CROPS`.
        flip: whether half of the images are mirrored.
        shapes: (N, 2), height and width of the stored images.
        size: output height and width.
        draws: (N, `DRAWS`), in [0, 1).
    """
    flips = (draws[:, -2] < 0.5) & flip
    if crop == "center":
        return CropParams(center_crops(shapes, size).windows, flips, size)
    extent = np.full_like(shapes, size)
    if crop == "random_resized":
        extent, central = _draw_extent(shapes, draws)
    room = shapes - extent
    corner = np.floor(draws[:, -4:-2] * (room + 1)).astype(np.int64)
    if crop == "random_resized":
        corner = np.where(central[:, None], room // 2, corner)
    return CropParams(np.concatenate([corner[:, ::-1], extent[:, ::-1]], axis=1), flips, size)


def _draw_extent(shapes: Integers, draws: NDArray[np.float64]) -> tuple[Integers, NDArray[np.bool_]]:
    """Return height and width (N, 2) of random resized windows, and a mask (N,) of images that no try fitted."""
    tries = draws[:, : 2 * TRIES].reshape(-1, TRIES, 2)
    area = shapes.prod(axis=1)[:, None] * (SCALE[0] + (SCALE[1] - SCALE[0]) * tries[:, :, 0])
    tried = extents(area, log_uniform(tries[:, :, 1], *RATIO))
    fits = np.all((tried > 0) & (tried <= shapes[:, None]), axis=2)
    chosen = tried[np.arange(len(shapes)), fits.argmax(axis=1)]
    return np.where(fits.any(axis=1)[:, None], chosen, _largest(shapes)), ~fits.any(axis=1)


def log_uniform(draws: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return numbers in [low, high) whose logarithms are uniform, from uniform draws in [0, 1)."""
    return np.exp(math.log(low) + (math.log(high) - math.log(low)) * draws)


def extents(area: NDArray[np.float64], ratio: NDArray[np.float64]) -> Integers:
    """Return height and width (..., 2), in whole pixels, of windows of an area and a ratio of width over height."""
    return np.rint(np.stack([np.sqrt(area / ratio), np.sqrt(area * ratio)], axis=-1)).astype(np.int64)


def _largest(shapes: Integers) -> Integers:
    """Return height and width (N, 2) of the largest window with an allowed aspect ratio."""
    height, width = shapes.T
    lower, wider = np.rint(width / RATIO[0]), np.rint(height * RATIO[1])
    largest = np.stack([np.minimum(height, lower), np.minimum(width, wider)], axis=1)
    return largest.astype(np.int64)
