"""What the fine-grained sets share: label files and images in their authors' layout, with a box for each object.

A part of a set, with some of its classes, is read like the whole, and lists and records say how many of the classes
it has. Images that no label file mentions do not count.
"""

import os
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar, cast

import numpy as np

from attnbench.data.base import Split
from attnbench.data.files import SETTLED_NS, ImageFiles, first_of, missing_files
from attnbench.data.labels import Disagreement
from attnbench.data.streamed_base import StreamedDataSet
from attnbench.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Labelled:
    """What label files say. train, test: images with labels, which are places in `classes`, maybe with boxes."""

    classes: tuple[str, ...]
    train: ImageFiles
    test: ImageFiles


class FineGrained(StreamedDataSet):
    """A set in its authors' layout. Options as in `StreamedDataSet`; `root` holds `folder`, or is that folder.

    A subclass defines `name`, `all_classes`, and
    folder: what the archive unpacks to. parts: files and folders in it, the label files first. also_in: a folder in
    which parts may lie too. how: how the set is got. read: reads the label files, and raises `Disagreement`.
    """

    folder: ClassVar[str]
    parts: tuple[str, ...]
    also_in: ClassVar[str] = ""
    how: ClassVar[str]
    every_size = False  # the first of each class tell the original from a copy of other resolution

    @cached_property
    def home(self) -> Path:
        """The folder with the set's parts; where it ought to be if there is none."""
        inner = Path(self.folder)
        places = [self.root.joinpath(*inner.parts[start:]) for start in range(len(inner.parts) + 1)]
        return next((place for place in places if self._within(place, self.parts[0]).exists()), places[0])

    def part(self, name: str) -> Path:
        """Where a file or folder of the set lies."""
        return self._within(self.home, name)

    def _within(self, home: Path, name: str) -> Path:
        usual, other = home / name, home / self.also_in / Path(name).name
        return other if other.exists() and not usual.exists() else usual

    @abstractmethod
    def read(self) -> Labelled:
        """Read the label files."""

    @cached_property
    def labelled(self) -> Labelled:
        """What the label files say, once it agrees with the images. Raises `UserError`."""
        missing = [name for name in self.parts if not self.part(name).exists()]
        if missing:
            where = f"{first_of(missing)} in {self.home}" if self.home.is_dir() else f"{self.folder} in {self.root}"
            raise UserError(f"data={self.name}: no {where}; {self.how}")
        files = [path for path in map(self.part, self.parts) if path.is_file()]
        try:
            found = remembered((type(self), self.home, self.reading), files, self.read)
            check(found, self.home)
        except Disagreement as error:
            self.refuse(error)
        return found

    @property
    def reading(self) -> Any:
        """What `read` depends on besides the files."""
        return None

    def refuse(self, error: Disagreement) -> NoReturn:
        """Raise the user's form of an error."""
        raise UserError(f"data={self.name}: {error}") from error

    def look(self) -> None:
        _ = self.labelled

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known when the label files are read
        """Names of the classes. Raises `UserError` if the set is not there."""
        return self.labelled.classes

    @property
    def num_classes(self) -> int:
        """Number of classes on disk; where there is no such set, of the whole one, so that costs can be counted."""
        return len(self.classes) if self.home.is_dir() else self.all_classes

    def files(self, split: Split) -> ImageFiles:
        return ImageFiles.none(self.home) if split == "validation" else getattr(self.labelled, split)


def check(found: Labelled, home: Path) -> None:
    """Raise `Disagreement` unless all images are there, each is named once, and every class has some to train with."""
    named = [os.fsdecode(path) for files in (found.train, found.test) for path in files.paths]
    absent = missing_files(home, named)
    if absent:
        raise Disagreement(f"{home}: lacks images that label files name: {first_of(absent)}")
    repeated = [path for path, times in Counter(named).items() if times > 1]
    if repeated:
        raise Disagreement(f"{home}: label files name images twice: {first_of(repeated)}")
    if len(found.classes) < 2:
        raise Disagreement(f"{home}: has {len(found.classes)} classes")
    counts = np.bincount(found.train.labels, minlength=len(found.classes))
    if not counts.all():
        empty = [found.classes[label] for label in np.flatnonzero(counts == 0)]
        raise Disagreement(f"{home}: classes without a training image: {first_of(empty)}")


_memory: dict[Any, tuple[Any, Any]] = {}


def remembered(key: Any, paths: Iterable[Path], read: Callable[[], T]) -> T:
    """What `read` gives, remembered until one of the files or folders that it reads changes: a sweep's many
    configurations ask for the same label files.
    """
    stats = [path.stat() for path in paths]
    stamps = [(stat.st_mtime_ns, stat.st_size) for stat in stats]
    if key in _memory and _memory[key][0] == stamps:
        return cast(T, _memory[key][1])
    result = read()
    if time.time_ns() - max(stat.st_mtime_ns for stat in stats) > SETTLED_NS:
        _memory[key] = (stamps, result)
    return result
