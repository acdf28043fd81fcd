"""The base class of sets whose samples carry their labels: the training labels define the classes."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.image_files import ImageFiles, Images, first_few
from attnbench.data.sources.shard_files import ShardImages
from attnbench.data.splits import Split
from attnbench.errors import UserError

if TYPE_CHECKING:
    from attnbench.data.sources.hub_images import ParquetImages, SavedImages

Values = NDArray[np.int64] | NDArray[np.bytes_]
"""Labels (N,) as written in the files: numbers, or names in UTF-8."""


class Samples(NamedTuple):
    """A split.

    Attributes:
        images: the images, whose `labels` are still empty.
        values: their labels as written in the files.
        names: names of the classes that numbers stand for, if the files give them.
    """

    images: "ShardImages | SavedImages | ParquetImages"
    values: Values
    names: tuple[str, ...] | None = None


class ShardedDataSet(FileDataSet):
    """Images in shards. Classes are the training labels in alphabetical or numerical order.

    Other splits may have no further classes. Options as in `FileDataSet`. A subclass defines `name`, `shards` and
    `samples`.
    """

    terms = "your own"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._samples: dict[Split, Samples] = {}

    @property
    @abstractmethod
    def shards(self) -> Mapping[Split, list[Path]]:
        """Files of each split on disk. Raises `UserError` if there are none for training."""

    @abstractmethod
    def samples(self, split: Split) -> Samples:
        """Read where the images of a split on disk are, and their labels. Raises `UserError` for damaged files."""

    def sampled(self, split: Split) -> Samples:
        """Return `samples(split)`, cached."""
        if split not in self._samples:
            self._samples[split] = self.samples(split)
        return self._samples[split]

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known once the labels are read
        """Names of the classes. Raises `UserError` if the set is missing or has only one class."""
        train = self.sampled("train")
        names = train.names or tuple(map(class_name, np.unique(train.values)))
        if len(names) < 2:
            raise UserError(f"data={self.name}: {self.root}: train has {len(names)} classes; at least two are needed")
        return names

    def check_layout(self) -> None:
        for split in self.shards:
            self.listed(split)

    def files(self, split: Split) -> Images:
        if split not in self.shards:
            return ImageFiles.empty(self.root)
        samples = self.sampled(split)
        return replace(samples.images, labels=self._class_indices(split, samples))

    def _class_indices(self, split: Split, samples: Samples) -> NDArray[np.int64]:
        """Return labels as indices into `classes`. Raises `UserError` for classes that `train` lacks."""
        if samples.names is not None:
            self._require_same_names(split, samples.names)
            return samples.values.astype(np.int64)
        values, inverse = np.unique(samples.values, return_inverse=True)
        indices = {name: index for index, name in enumerate(self.classes)}
        names = [class_name(value) for value in values]
        unknown = [name for name in names if name not in indices]
        if unknown:
            raise self._class_error(split, f"has classes that train lacks: {first_few(unknown)}")
        return np.array([indices[name] for name in names], np.int64)[inverse]

    def _require_same_names(self, split: Split, names: tuple[str, ...]) -> None:
        pairs = zip(self.classes, names, strict=False)
        differing = next((pair for pair in enumerate(pairs) if pair[1][0] != pair[1][1]), None)
        if differing is not None:
            index, (ours, theirs) = differing
            raise self._class_error(split, f"calls class {index} {theirs}, and train {ours}")
        if len(names) != len(self.classes):
            raise self._class_error(split, f"names {len(names)} classes, and train {len(self.classes)}")

    def _class_error(self, split: Split, problem: str) -> UserError:
        first, *others = self.shards[split]
        files = f"{first} and {len(others)} more" if others else str(first)
        return UserError(f"data={self.name}: {files}: {split} {problem}")


def class_name(value: Any) -> str:
    """Return a label as the name of its class."""
    return value.decode() if isinstance(value, bytes) else str(value)
