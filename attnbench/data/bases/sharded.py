"""Sets whose samples carry their labels with them: classes are what the training labels are."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.image_files import ImageFiles, Images, first_of
from attnbench.data.sources.parquet import ParquetImages
from attnbench.data.sources.shard_files import ShardImages
from attnbench.data.splits import Split
from attnbench.errors import UserError

Values = NDArray[np.int64] | NDArray[np.bytes_]
"""Labels (N,) as they are written: numbers, or names in UTF-8."""


class Samples(NamedTuple):
    """A split. images: without their labels. values: those, as written. names: what numbers mean, where it is said."""

    images: ShardImages | ParquetImages
    values: Values
    names: tuple[str, ...] | None = None


class ShardedDataSet(FileDataSet):
    """Images in shards. Classes are names in alphabetical order, or numbers in theirs; other splits have no further
    ones. Options as in `FileDataSet`.

    A subclass defines `name`, `shards` and `samples`.
    """

    terms = "your own"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._samples: dict[Split, Samples] = {}

    @property
    @abstractmethod
    def shards(self) -> Mapping[Split, list[Path]]:
        """Files of each split that is there. Raises `UserError` without any for training."""

    @abstractmethod
    def samples(self, split: Split) -> Samples:
        """A split that is there. Raises `UserError` for what is damaged or not complete."""

    def sampled(self, split: Split) -> Samples:
        """`samples`, read once."""
        if split not in self._samples:
            self._samples[split] = self.samples(split)
        return self._samples[split]

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known when labels are read
        """Names of the classes. Raises `UserError` if the set is not there, or has only one."""
        train = self.sampled("train")
        names = train.names or tuple(map(shown, np.unique(train.values)))
        if len(names) < 2:
            raise UserError(f"data={self.name}: {self.root}: train has {len(names)} classes; it takes two at least")
        return names

    def look(self) -> None:
        for split in self.shards:
            self.listed(split)

    def files(self, split: Split) -> Images:
        if split not in self.shards:
            return ImageFiles.none(self.root)
        samples = self.sampled(split)
        return replace(samples.images, labels=self._places(split, samples))

    def _places(self, split: Split, samples: Samples) -> NDArray[np.int64]:
        """Labels as places among the classes. Raises `UserError` for classes that `train` lacks."""
        if samples.names is not None:
            self._compare(split, samples.names)
            return samples.values.astype(np.int64)
        found, inverse = np.unique(samples.values, return_inverse=True)
        places = {name: place for place, name in enumerate(self.classes)}
        names = [shown(value) for value in found]
        strange = [name for name in names if name not in places]
        if strange:
            raise self._disagreement(split, f"has classes that train lacks: {first_of(strange)}")
        return np.array([places[name] for name in names], np.int64)[inverse]

    def _compare(self, split: Split, names: tuple[str, ...]) -> None:
        pairs = zip(self.classes, names, strict=False)
        differing = next((pair for pair in enumerate(pairs) if pair[1][0] != pair[1][1]), None)
        if differing is not None:
            place, (ours, theirs) = differing
            raise self._disagreement(split, f"calls class {place} {theirs}, and train {ours}")
        if len(names) != len(self.classes):
            raise self._disagreement(split, f"names {len(names)} classes, and train {len(self.classes)}")

    def _disagreement(self, split: Split, told: str) -> UserError:
        first, *more = self.shards[split]
        where = f"{first} and {len(more)} more" if more else str(first)
        return UserError(f"data={self.name}: {where}: {split} {told}")


def shown(value: Any) -> str:
    """A label as a class's name."""
    return value.decode() if isinstance(value, bytes) else str(value)
