"""Chosen images of a split as the network takes them, with the boxes of their objects.

Loaders give batches of whole splits; explanations need a few images, and what is marked in them. Pixels, crops and
boxes are those of evaluation: boxes are in pixels of the network's input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.pixels import Pixels, decode_pixels
from attnbench.data.sources.arrays import Arrays
from attnbench.data.sources.folders import read_regular
from attnbench.data.splits import Split
from attnbench.data.transforms.normalisation import scale_and_shift
from attnbench.errors import UserError


@dataclass(frozen=True)
class ChosenImages:
    """A few images as a network takes them.

    Attributes:
        images: (N, C, H, W), normalised.
        labels: (N,) int64; -1 where the class is unknown.
        boxes: (N, 4) float32, left, top, right and bottom edge in pixels of `images`; None if no box is known, NaN for
            single images without one.
        names: of the images: their numbers in the split, or their files' names.
    """

    images: Tensor
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def split_size(data: DataSet, split: Split) -> int:
    """Return the number of images of a split, those that cannot be decoded included."""
    return len(data.members(split)[1]) if isinstance(data, FileDataSet) else len(data.load(split))


def choose_images(data: DataSet, split: Split, numbers: NDArray[np.int64]) -> ChosenImages:
    """Read images of a split by their numbers (N,) in it; only these files are decoded.

    Images that cannot be decoded are left out where the data set skips them.
    """
    if isinstance(data, FileDataSet):
        source, members = data.members(split)
        arrays, kept = data.read_members(source, members[numbers])
        number_of = dict(zip(members[numbers].tolist(), numbers.tolist(), strict=True))
        numbers = np.array([number_of[member] for member in kept], np.int64)
    else:
        whole = data.load(split)
        boxes = None if whole.boxes is None else whole.boxes[numbers]
        arrays = Arrays(whole.images[numbers], whole.labels[numbers], boxes)
    images = normalised(arrays.images, data)
    return ChosenImages(images, arrays.labels, arrays.boxes, tuple(map(str, numbers.tolist())))


def spread_images(data: DataSet, split: Split, count: int) -> ChosenImages:
    """Read a number of images, at most all, that are spread evenly over a split: always the same ones."""
    size = split_size(data, split)
    return choose_images(data, split, np.unique(np.linspace(0, size - 1, count).round().astype(np.int64)))


def read_image_files(data: DataSet, paths: Sequence[Path]) -> ChosenImages:
    """Read image files as a data set reads its test images; their classes and boxes are unknown.

    Raises:
        UserError: a file cannot be read or decoded; the message names it.
    """
    pixels = np.stack([_read_image(path, data) for path in paths])
    unknown = np.full(len(paths), -1, np.int64)
    return ChosenImages(normalised(pixels, data), unknown, None, tuple(path.name for path in paths))


def _read_image(path: Path, data: DataSet) -> Pixels:
    try:
        content = read_regular(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    return decode_pixels(content, path, data)


def normalised(pixels: NDArray[np.uint8], data: DataSet) -> Tensor:
    """Return images (N, H, W, C) uint8 as the network takes them, (N, C, H, W) float32."""
    scale, shift = scale_and_shift(data.mean, data.std)
    images = torch.from_numpy(np.ascontiguousarray(pixels)).float() * scale + shift
    return images.permute(0, 3, 1, 2).contiguous()


def denormalised(images: Tensor, data: DataSet) -> Tensor:
    """Return normalised images (N, C, H, W) with values in [0, 1]."""
    mean, std = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (data.mean, data.std))
    return (images.cpu().float() * std + mean).clamp(0, 1)
