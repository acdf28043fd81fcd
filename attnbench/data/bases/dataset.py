"""What a data set shows to the rest: classes, image shape, three splits, and a fingerprint of what lies on disk.

Nothing here imports torch, so that data can be listed and checked quickly.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import SPLITS, Split, hold_out
from attnbench.data.transforms.augmentation import Augmentation, LabelNoise
from attnbench.errors import require


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


def folder_of(root: str) -> Path:
    """The folder that `data.root` means, for messages: absolute, with the user's home expanded."""
    return Path(root).expanduser().absolute()
