"""What a data set shows to the rest: classes, image shape, three splits, and a fingerprint of what lies on disk.

Nothing here imports torch, so that data can be listed and checked quickly.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import require, require_choice

if TYPE_CHECKING:
    from torch import Tensor

    from attnbench.data.loaders.in_memory import Loader, Placement

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Arrays:
    """One split in memory.

    images: (N, H, W, C) uint8. labels: (N,) int64.
    boxes: (N, 4) float32, each object's left, top, right and bottom edge in pixels; None where none are known,
    NaN where those of some images are not.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> "Arrays":
        """The images where the mask (N,) is true."""
        return Arrays(self.images[chosen], self.labels[chosen], None if self.boxes is None else self.boxes[chosen])


@dataclass(frozen=True)
class Augmentation:
    """Random crop and flip of training images, drawn per image.

    padding: pixels added on each side before a crop of the original size. padding_mode: `zeros` or `reflect`.
    flip: horizontal flip with probability 1/2.
    """

    padding: int = 0
    padding_mode: str = "zeros"
    flip: bool = False

    def __post_init__(self) -> None:
        require(self.padding >= 0, "padding", self.padding, "must not be negative")
        require_choice("padding_mode", self.padding_mode, ("zeros", "reflect"))


@dataclass(frozen=True)
class LabelNoise:
    """Wrong training labels, as in "Residual Attention Network for Image Classification" (CVPR 2017, section 4.1).

    share: probability that a label is replaced by one of the others, each equally likely; the paper's noise level,
    1 - r. resampled: drawn anew every epoch instead of once for the whole training; the paper does not say which.
    """

    share: float = 0.0
    resampled: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.share < 1, "label_noise", self.share, "must lie in [0, 1)")
        drawn = self.share > 0 or not self.resampled
        require(drawn, "resampled", "true", "there is no noise to resample: label_noise is 0")


class DataSet(ABC):
    """A set of images; unless a subclass says otherwise, small enough to live on the training device.

    batch_size: training images per optimiser step, over all devices. validation: training images held out, balanced
    over the classes and independent of the run's seed. mean, std: of each channel, for pixel values in [0, 1].
    label_noise, resampled: see `LabelNoise`; labels held out for validation and test labels stay as they are.

    A subclass sets `classes`, `image_size` (pixels a side), `channels` and `train_images`, the number of training
    images including those held out. For lists of data sets it may declare `counts`, how many training and test images
    the whole set has (or how many in all), and `terms`, its licence or terms of use in a few words.
    """

    counts: tuple[int, ...] = ()
    terms: ClassVar[str] = ""

    classes: tuple[str, ...]
    image_size: int
    channels: int
    train_images: int

    def __init__(
        self,
        batch_size: int,
        validation: int,
        mean: Sequence[float],
        std: Sequence[float],
        padding: int = 0,
        padding_mode: str = "zeros",
        flip: bool = False,
        label_noise: float = 0.0,
        resampled: bool = False,
    ) -> None:
        require(batch_size >= 1, "batch_size", batch_size, "must be at least 1")
        self.require_validation(validation)
        for key, values in (("mean", mean), ("std", std)):
            require(len(values) == self.channels, key, values, f"must hold {self.channels} numbers, one a channel")
        require(min(std) > 0, "std", std, "must be positive")
        self.augmentation = Augmentation(padding, padding_mode, flip)
        self.noise = LabelNoise(label_noise, resampled)
        reflectable = padding_mode != "reflect" or padding < self.image_size
        require(reflectable, "padding", padding, f"must be below {self.image_size} to reflect")
        self.batch_size, self.validation = batch_size, validation
        self.mean, self.std = tuple(mean), tuple(std)

    def require_validation(self, validation: int) -> None:
        """Raise `OptionError` unless so many training images can be held out."""
        most = self.train_images - 1
        told = f"must be from 0 to {most}, as there are {self.train_images} training images"
        require(0 <= validation <= most, "validation", validation, told)

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.classes)

    @property
    def all_classes(self) -> int:
        """Classes of the whole set: more than `num_classes` if only a part of it is on disk."""
        return self.num_classes

    def find(self) -> None:  # noqa: B027 - a set that can always be made has nothing to look for
        """Raise `UserError` with what is missing, where it was looked for and how to get it, unless the set is
        there or can be made. Reads no images."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Tells apart what lies at a location: name and split, or files with sizes. Part of a run's identity."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that hold images."""
        return tuple(split for split in SPLITS if split != "validation" or self.validation)

    @abstractmethod
    def load(self, split: Split) -> Arrays:
        """Read one split into memory. `validation` is empty when nothing is held out."""

    def pipeline(self, split: Split, placement: "Placement", seed: int | None = None) -> "Loader":
        """Batches of a split: with a seed, shuffled and augmented for training; without, in order and as they are."""
        from attnbench.data.loaders.in_memory import InMemoryLoader

        training = () if seed is None else (self.augmentation, seed, self.relabel(seed))
        return InMemoryLoader(self.load(split), self.mean, self.std, self.batch_size, placement, *training)

    def relabel(self, seed: int) -> "Callable[[Tensor, int], Tensor]":
        """Turns training labels (N,) and an epoch's number into those that the epoch shows.

        Labels are wrong in training alone, if at all: other splits are measured against the truth.
        """
        from attnbench.data.transforms.label_noise import mislabel

        return partial(mislabel, noise=self.noise, classes=self.num_classes, seed=seed)

    def close(self) -> None:  # noqa: B027 - a set in memory holds nothing that must be let go
        """End what pipelines of this set keep running."""


class SplitDataSet(DataSet):
    """A data set with a training and a test set on disk; validation is held out from training."""

    @abstractmethod
    def read(self, train: bool) -> Arrays:
        """Read the training set or the test set as it is on disk."""

    @cached_property
    def _train(self) -> Arrays:
        return self.read(train=True)

    def load(self, split: Split) -> Arrays:
        if split == "test":
            return self.read(train=False)
        held_out = hold_out(self._train.labels, self.validation)
        return self._train.take(held_out if split == "validation" else ~held_out)


def hold_out(labels: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.bool_]:
    """Mask (N,) of `count` images, as balanced over the classes as their numbers allow; always the same ones."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    # rank of each image among its class, in random order: taking the lowest ranks first balances the classes
    members = order[np.argsort(labels[order], kind="stable")]
    classes, first = np.unique(labels[members], return_index=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[members] = np.arange(len(labels)) - first[np.searchsorted(classes, labels[members])]
    chosen = np.lexsort((labels, rank))[:count]
    mask = np.zeros(len(labels), dtype=np.bool_)
    mask[chosen] = True
    return mask


def folder_of(root: str) -> Path:
    """The folder that `data.root` means, for messages: absolute, with the user's home expanded."""
    return Path(root).expanduser().absolute()
