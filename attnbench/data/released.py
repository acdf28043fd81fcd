"""Published image sets in their authors' own layout: where one lies, its lists of labels, and whether they agree with
the files.
"""

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from attnbench.data.files import first_of, images_below, missing_files
from attnbench.data.streamed_base import StreamedDataSet
from attnbench.errors import UserError

UNKNOWN_BOX = (np.nan,) * 4
"""Stands for an object that nobody has marked."""


class ReleasedDataSet(StreamedDataSet):
    """A set that lies in `folder` below `data.root`, or in `data.root` itself. Options as in `StreamedDataSet`.

    A subclass also defines `folder`, `needed` (what must lie in it, told by the first that does not), `all_classes`
    (how many the whole set has), `source` (how to get it), and `read_class_names`, which reads the first of what is
    needed. Classes come from the files, so that a part of the set, with fewer of them, is read like the whole.
    """

    source: ClassVar[str]

    folder: ClassVar[str]
    needed: tuple[str, ...]

    @property
    def home(self) -> Path:
        """The folder that holds the set."""
        below = self.root / self.folder
        return below if below.is_dir() or not (self.root / self.needed[0]).exists() else self.root

    def look(self) -> None:
        home = self.home
        if not home.is_dir():
            told = f"no {self.folder} in {self.root}; set data.root to the folder that holds it"
            raise UserError(f"data={self.name}: {told} ({self.source})")
        for part in self.needed:
            if not (home / part).exists():
                raise UserError(f"data={self.name}: {home} holds no {part}; unpack the set again ({self.source})")

    @abstractmethod
    def read_class_names(self) -> Sequence[str]:
        """Names of the classes, in the order of their labels."""

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known when the files are read
        """Names of the classes. Raises `UserError` if the set is not there, or one is named twice."""
        self.look()
        names = tuple(self.read_class_names())
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or len(names) < 2:
            told = f"names {first_of(twice)} more than once" if twice else f"names {len(names)} classes"
            raise self.disagreement(self.needed[0], told)
        return names

    @property
    def num_classes(self) -> int:
        """Number of classes on disk; where there is no such set, of the whole one, so that costs can be counted."""
        there = (self.home / self.needed[0]).exists()
        return len(self.classes) if there else self.all_classes

    # lists of labels

    def disagreement(self, file: str, told: str) -> UserError:
        """What to say of a file that does not fit the rest."""
        return UserError(f"data={self.name}: {self.home / file} {told}")

    def lines(self, file: str) -> list[str]:
        """Lines of a text file of the set that are not blank. Raises `UserError` if it cannot be read."""
        try:
            text = (self.home / file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text"
            raise self.disagreement(file, f"cannot be read: {reason}") from error
        return [line.strip() for line in text.splitlines() if line.strip()]

    def rows(self, file: str, count: int, header: bool = False) -> Iterator[list[str]]:
        """Words of each line of a text file, `count` of them or more. Raises `UserError` that names a shorter line."""
        for line in self.lines(file)[header:]:
            words = line.split()
            if len(words) < count:
                raise self.disagreement(file, f"has a line of fewer than {count} words: {line[:80]}")
            yield words

    def numbers(self, file: str, words: Sequence[str]) -> list[int]:
        """Whole numbers from the words of a line. Raises `UserError` if one is none."""
        try:
            return [int(word) for word in words]
        except ValueError as error:
            raise self.disagreement(file, f"has no whole numbers where they must be: {' '.join(words)[:80]}") from error

    def labels_of(self, file: str, names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
        """Labels (N,) of class names. Raises `UserError` for names that are no class."""
        places = {name: label for label, name in enumerate(classes)}
        strange = sorted(set(names) - set(places))
        if strange:
            raise self.disagreement(file, f"names classes that {self.needed[0]} lacks: {first_of(strange)}")
        return np.array([places[name] for name in names], np.int64)

    def require_there(self, file: str, paths: Sequence[str]) -> None:
        """Raise `UserError` for those of the images that `file` names that are not there."""
        absent = missing_files(self.home, paths)
        if absent:
            raise self.disagreement(file, f"names images that are not there: {first_of(absent)}")

    def require_named(self, file: str, folder: str, paths: Iterable[str]) -> None:
        """Raise `UserError` for images below a folder of the set that are not among `paths`, which `file` names."""
        found = images_below(str(self.home / folder), f"{folder}/".encode())
        strange = sorted({os.fsdecode(name) for name in found.tolist()} - set(paths))
        if strange:
            raise self.disagreement(file, f"does not name all images of {folder}: {first_of(strange)}")

    def require_apart(self, lists: Mapping[str, Iterable[str]]) -> None:
        """Raise `UserError` if lists of images, by their files, share one."""
        seen: dict[str, str] = {}
        for file, paths in lists.items():
            shared = [path for path in paths if seen.setdefault(path, file) != file]
            if shared:
                raise self.disagreement(file, f"names images that {seen[shared[0]]} names too: {first_of(shared)}")
