"""The base class of data sets: classes, image shape, splits, and a fingerprint of the files.

A data set describes; `attnbench.data.loaders` makes its batches. Nothing here imports torch, so that data can be listed
and checked quickly.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from attnbench.data.sources.arrays import Arrays
from attnbench.data.sources.image_files import first_few
from attnbench.data.splits import SPLITS, Integers, Split, emptied, hold_out
from attnbench.data.transforms.augmentation import Augmentation, LabelNoise
from attnbench.errors import UserError, require


class DataSet(ABC):
    """A set of labelled images, small enough to be kept on the training device (see `FileDataSet` for larger ones).

    A subclass sets `classes`, `image_size`, `channels` and `train_images`, and defines `fingerprint` and `load`.

    Args:
        batch_size: training images per optimiser step, over all devices.
        validation: number of training images held out for validation, balanced over the classes and independent of the
            run's seed.
        mean: mean of each channel, for pixel values in [0, 1].
        std: standard deviation of each channel, likewise.
        padding: see `Augmentation`.
        padding_mode: see `Augmentation`.
        flip: see `Augmentation`.
        label_noise: share of wrong training labels, see `LabelNoise`. Validation and test labels are never changed.
        resampled: see `LabelNoise`.

    Attributes:
        classes: names of the classes, in the order of the labels.
        image_size: height and width of images in pixels.
        channels: 1 or 3.
        train_images: number of training images, including those held out.
        counts: number of training and of test images of the whole set, or of all images; shown by `attnbench list`.
        terms: licence or terms of use, in a few words.
        for_task: the choice of `task` that its labels are for.
    """

    for_task: ClassVar[str] = "classification"
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
        """Raise `OptionError` unless `validation` training images can be held out."""
        most = self.train_images - 1
        expected = f"must be from 0 to {most}, as there are {self.train_images} training images"
        require(0 <= validation <= most, "validation", validation, expected)

    @property
    def num_classes(self) -> int:
        """Number of classes on disk."""
        return len(self.classes)

    @property
    def all_classes(self) -> int:
        """Number of classes of the whole set: more than `num_classes` if only a part of it is on disk."""
        return self.num_classes

    def check_available(self) -> None:  # noqa: B027 - a generated set is always available
        """Check that the set is on disk or can be generated, without reading images.

        Raises:
            UserError: something is missing; the message says what, where it is expected, and how to get it.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that differs when the data differs: a name, or a hash of file names, labels and sizes.

        It is part of a run's identity.
        """

    @property
    def splits(self) -> tuple[Split, ...]:
        """Splits that hold images."""
        return tuple(split for split in SPLITS if split != "validation" or self.validation)

    @abstractmethod
    def load(self, split: Split) -> Arrays:
        """Read one split into memory. `validation` is empty if no image is held out."""


class SplitDataSet(DataSet):
    """A data set with a training set and a test set; validation images are held out of the training set.

    Attributes:
        class_counts: training images of each class, where they are known before images are read.
    """

    class_counts: Sequence[int] = ()

    def require_validation(self, validation: int) -> None:
        super().require_validation(validation)
        if len(self.class_counts):
            lost = self._lost(np.array(self.class_counts), validation)
            require(not lost, "validation", validation, lost)

    def _lost(self, counts: Integers, validation: int) -> str:
        """Return in words which classes have no training image left; empty if every class has one."""
        names = [self.classes[label] for label in emptied(counts, validation)]
        return f"leaves no training image of {first_few(names)}; hold out fewer" if names else ""

    @abstractmethod
    def read(self, train: bool) -> Arrays:
        """Read the whole training set or the test set."""

    @cached_property
    def _train(self) -> Arrays:
        return self.read(train=True)

    def load(self, split: Split) -> Arrays:
        if split == "test":
            return self.read(train=False)
        labels = self._train.labels
        if lost := self._lost(np.bincount(labels, minlength=self.num_classes), self.validation):
            raise UserError(f"data.validation={self.validation}: {lost}")
        held_out = hold_out(labels, self.validation)
        return self._train.take(held_out if split == "validation" else ~held_out)


def folder_of(root: str) -> Path:
    """Return `data.root` as an absolute path, with the user's home expanded, so that messages show where it is."""
    return Path(root).expanduser().absolute()
