"""Published image sets in their authors' own layout: where one lies, what its label files say, and whether they agree
with the images.

A part of a set, with some of its classes, is read like the whole, and lists and records say how many of the classes it
has.
"""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.image_files import ImageFiles, first_of, images_below, missing_files
from attnbench.data.sources.label_files import LabelFileError, remembered
from attnbench.data.splits import Split, hold_out_groups
from attnbench.errors import UserError


@dataclass(frozen=True)
class Labelled:
    """What label files say.

    classes: their names. train, test, validation: images with labels, which are places in `classes`, maybe with boxes;
    `validation` only if the set has one of its own. groups: (N,) of the training images, equal for those that belong
    together; None where each stands for itself and is named once. whole: folders of which every image must be named;
    elsewhere, images that no label file mentions do not count.
    """

    classes: tuple[str, ...]
    train: ImageFiles
    test: ImageFiles
    validation: ImageFiles | None = None
    groups: NDArray[np.int64] | None = None
    whole: tuple[str, ...] = ()


class PublishedDataSet(FileDataSet):
    """A set in its authors' layout. Options as in `FileDataSet`; `root` holds `folder`, or is that folder.

    A subclass defines `name`, `all_classes` (how many the whole set has), and
    folder: what the set unpacks to. needed: files and folders that must lie in it, a label file first. also_in: a
    folder in which they may lie too. more: patterns of further label files. source: how the set is got.
    options: attributes that `read` depends on. read: reads the label files, and raises `LabelFileError`.
    """

    folder: ClassVar[str]
    needed: tuple[str, ...]
    also_in: ClassVar[str] = ""
    more: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()

    # where it lies

    @cached_property
    def home(self) -> Path:
        """The folder that holds the set; where it ought to be if there is none."""
        inner = Path(self.folder)
        places = [self.root.joinpath(*inner.parts[start:]) for start in range(len(inner.parts) + 1)]
        return next((place for place in places if self._within(place, self.needed[0]).exists()), places[0])

    def part(self, name: str) -> Path:
        """Where a file or folder of the set lies."""
        return self._within(self.home, name)

    def _within(self, home: Path, name: str) -> Path:
        usual, other = home / name, home / self.also_in / Path(name).name
        return other if self.also_in and other.exists() and not usual.exists() else usual

    def _require_needed(self) -> None:
        missing = [name for name in self.needed if not self.part(name).exists()]
        if not self.home.is_dir():
            told = f"no {self.folder} in {self.root}; set data.root to the folder that holds it"
            raise UserError(f"data={self.name}: {told} ({self.source})")
        if missing:
            told = f"no {first_of(missing)} in {self.home}; unpack the rest of the set there"
            raise UserError(f"data={self.name}: {told} ({self.source})")

    # what its label files say

    @abstractmethod
    def read(self) -> Labelled:
        """Read the label files."""

    @cached_property
    def labelled(self) -> Labelled:
        """What the label files say, once it agrees with the images. Raises `UserError`."""
        self._require_needed()
        files = [path for path in map(self.part, self.needed) if path.is_file()]
        files += (path for pattern in self.more for path in sorted(self.home.glob(pattern)))
        key = (type(self), self.home, *(getattr(self, name) for name in self.options))
        with self._told():
            found = remembered(key, files, self.read)
            check(found, self.home)
        return found

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A disagreement becomes the user's error."""
        try:
            yield
        except LabelFileError as error:
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
        return len(self.classes) if self.part(self.needed[0]).exists() else self.all_classes

    def files(self, split: Split) -> ImageFiles:
        found: ImageFiles | None = getattr(self.labelled, split)
        if found is None:
            return ImageFiles.none(self.home)
        with self._told():
            return self.boxed(found)

    def boxed(self, files: ImageFiles) -> ImageFiles:
        """A split with its boxes, for sets that give them in a file for each image: read only when they are used."""
        return files

    def held_out(self) -> NDArray[np.bool_]:
        groups = self.labelled.groups
        if groups is None:
            return super().held_out()
        return hold_out_groups(self.listed("train").labels, groups, self.validation)


def check(found: Labelled, home: Path) -> None:
    """Raise `LabelFileError` unless all images are there and named as `Labelled` says."""
    splits = [split for split in (found.train, found.validation, found.test) if split is not None]
    named = [os.fsdecode(path) for split in splits for path in split.paths]
    absent = missing_files(home, named)
    if absent:
        raise LabelFileError(home, f"lacks images that label files name: {first_of(absent)}")
    below = (images_below(str(home / folder), f"{folder}/".encode()).tolist() for folder in found.whole)
    strange = sorted({os.fsdecode(path) for paths in below for path in paths} - set(named))
    if strange:
        raise LabelFileError(home, f"has images that no label file names: {first_of(strange)}")
    repeated = [path for path, times in Counter(named).items() if times > 1]
    if repeated and found.groups is None:
        raise LabelFileError(home, f"label files name images twice: {first_of(repeated)}")
