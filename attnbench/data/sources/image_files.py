"""Images on disk: what a list of them shows, files read from folders, and what tells one list from another."""

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""What counts as an image; those that torchvision's `ImageFolder` takes."""
SETTLED_NS = 2_000_000_000
"""A folder changed less long ago than this may change again without its time of change showing it."""

Names = NDArray[np.bytes_]
"""File names as the system encodes them: of 1.28 million paths, texts would take four times the memory."""


Part = bytes | NDArray[Any] | None
"""What a list's digest is made of."""


class Images(ABC):
    """One split on disk, image by image; travels to the processes that decode.

    labels: (N,) int64. boxes: (N, 4) float32 or None. crops: (N, 4) int64 or None; see `ImageFiles`.
    """

    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None
    crops: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def crop(self, index: int) -> tuple[int, ...] | None:
        """The part of its upright image that a sample is; None for the whole."""
        return None if self.crops is None else tuple(self.crops[index].tolist())

    @abstractmethod
    def name(self, index: int) -> str:
        """Where an image lies, for messages."""

    @abstractmethod
    def read(self, index: int) -> bytes:
        """An encoded image. Raises `OSError` where its bytes cannot be had."""

    def prepare(self) -> None:  # noqa: B027 - most images can be read where they are
        """Do what has to be done once before images can be read. Raises `UserError`."""

    @abstractmethod
    def parts(self, every_size: bool) -> Sequence[Part]:
        """What tells this list from others: see `digest`."""

    @abstractmethod
    def stamps(self) -> NDArray[np.int64]:
        """Times of change in ns, and sizes, of the files that hold the images: (N, 2)."""


@dataclass(frozen=True)
class ImageFiles(Images):
    """One split as files.

    root: the folder that paths start from. paths: (N,) relative to it. labels: (N,) int64.
    boxes: (N, 4) float32, each object's left, top, right and bottom edge in pixels of its upright image; None where
    none are known, NaN where those of some images are not.
    crops: (N, 4) int64, edges of the part of each upright image that is the sample, as if it were the whole image;
    None where the whole images are. So one file may hold several samples.
    """

    root: Path
    paths: Names
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None
    crops: NDArray[np.int64] | None = None

    def path(self, index: int) -> str:
        """Where an image lies."""
        return os.path.join(self.root, os.fsdecode(self.paths[index]))  # noqa: PTH118 - a million times

    def name(self, index: int) -> str:
        return self.path(index)

    def read(self, index: int) -> bytes:
        return Path(self.path(index)).read_bytes()

    def parts(self, every_size: bool) -> Sequence[Part]:
        """Paths, labels, boxes and crops, and sizes: those of all files, or of the first one of each class.

        The first ones of a well-known set are enough to tell the original from a copy of other resolution, and asking
        a network's file system for the sizes of a million files takes minutes.
        """
        weighed = np.arange(len(self)) if every_size else np.unique(self.labels, return_index=True)[1]
        sizes = [os.stat(self.path(index)).st_size for index in weighed]  # noqa: PTH116
        parts: list[Part] = [b"\0".join(self.paths), self.labels, np.asarray(sizes, np.int64), self.boxes]
        return parts if self.crops is None else [*parts, self.crops]

    def stamps(self) -> NDArray[np.int64]:
        """Times of change in ns, and sizes, of the files: (N, 2)."""
        return stamps_of(map(self.path, range(len(self))))

    @classmethod
    def named(
        cls,
        root: Path,
        paths: Sequence[str],
        labels: Sequence[int] | NDArray[np.int64],
        boxes: Sequence[Sequence[float]] | NDArray[Any] | None = None,
        crops: NDArray[np.int64] | None = None,
    ) -> "ImageFiles":
        """A split of so many paths and labels."""
        names = np.array([os.fsencode(path) for path in paths], np.bytes_)
        known = None if boxes is None else np.asarray(boxes, np.float32).reshape(-1, 4)
        return cls(root, names, np.asarray(labels, np.int64), known, crops)

    @classmethod
    def none(cls, root: Path) -> "ImageFiles":
        """A split without images."""
        return cls(root, np.empty(0, np.bytes_), np.empty(0, np.int64))


def read_classes(root: Path, split: str, classes: Sequence[str]) -> ImageFiles:
    """All images below `root/split/<class>`, labelled by the class's place in `classes`; classes may be absent.

    In the order of torchvision's `ImageFolder`: by class, then by name.
    """
    parts, labels = [np.empty(0, np.bytes_)], [np.empty(0, np.int64)]
    for label, name in enumerate(classes):
        folder = root / split / name
        if folder.is_dir():
            parts.append(images_below(os.fspath(folder), os.fsencode(f"{split}/{name}/")))
            labels.append(np.full(len(parts[-1]), label, np.int64))
    return ImageFiles(root, np.concatenate(parts), np.concatenate(labels))


def images_below(folder: str, prefix: bytes = b"") -> Names:
    """Names of all images in a folder and the folders below, each with `prefix` before it. Hidden ones do not count."""
    files, folders = listing(folder)
    below = (images_below(f"{folder}/{os.fsdecode(name)}", prefix + name + b"/") for name in folders)
    parts: list[Names] = [np.char.add(prefix, files), *below]
    return np.concatenate(parts)


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones (`.ipynb_checkpoints`) do not count."""
    return [os.fsdecode(name) for name in listing(os.fspath(folder))[1]]


def listing(folder: str) -> tuple[Names, Names]:
    """Names of the images and of the folders in a folder, each sorted.

    Remembered until the folder changes: a sweep asks for the same folders over and over.
    """
    changed = os.stat(folder).st_mtime_ns  # noqa: PTH116
    settled = time.time_ns() - changed > SETTLED_NS
    return _remembered(folder, changed) if settled else _scan(folder)


@cache
def _remembered(folder: str, changed: int) -> tuple[Names, Names]:
    return _scan(folder)


def _scan(folder: str) -> tuple[Names, Names]:
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(EXTENSIONS):
                files.append(os.fsencode(entry.name))
            elif entry.is_dir():
                folders.append(os.fsencode(entry.name))
    return np.array(sorted(files), np.bytes_), np.array(sorted(folders), np.bytes_)


def stamps_of(paths: Iterable[str | Path]) -> NDArray[np.int64]:
    """Times of change in ns, and sizes: (N, 2). Zeros for a file that is not there."""

    def stamp(path: str | Path) -> tuple[int, int]:
        try:
            found = os.stat(path)  # noqa: PTH116
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size

    return np.array([stamp(path) for path in paths], np.int64).reshape(-1, 2)


def missing_files(root: Path, paths: Sequence[str]) -> list[str]:
    """Those of the paths that are no image below `root`. Looks into each folder once."""

    @cache
    def names(folder: str) -> frozenset[bytes]:
        there = root / folder
        return frozenset(listing(str(there))[0].tolist()) if there.is_dir() else frozenset()

    parts = ((path, *path.rpartition("/")) for path in paths)
    return [path for path, folder, _, name in parts if os.fsencode(name) not in names(folder)]


def digest(splits: Iterable[Images], every_size: bool) -> str:
    """Hash of what tells these lists from others, with the sizes of all files or of a few."""
    whole = hashlib.sha256()
    for images in splits:
        for part in images.parts(every_size):
            whole.update(hashlib.sha256(b"" if part is None else np.ascontiguousarray(part).tobytes()).digest())
    return whole.hexdigest()[:16]


def first_of(names: Sequence[str], count: int = 3) -> str:
    """The first few of many names, for a message."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
