"""Lists of images on disk, images in class folders, and the digests and time stamps that detect changes."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.folders import Names, images_below, listing, open_regular, read_regular

Part = bytes | NDArray[Any] | None
"""Input of a list's digest."""


class Images(ABC):
    """One split on disk, read image by image; it is sent to the decoding processes.

    Attributes:
        labels: (N,) int64.
        boxes: (N, 4) float32 or None; see `ImageFiles`.
        crops: (N, 4) int64 or None; see `ImageFiles`.
    """

    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None
    crops: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def crop(self, index: int) -> tuple[int, ...] | None:
        """Return the part of its upright image that a sample consists of, or None for the whole image."""
        return None if self.crops is None else tuple(self.crops[index].tolist())

    @abstractmethod
    def name(self, index: int) -> str:
        """Return a name that locates an image, for messages."""

    @abstractmethod
    def read(self, index: int) -> bytes:
        """Read an encoded image. Raises `OSError` if its bytes cannot be read."""

    def prepare(self) -> None:  # noqa: B027 - most images are ready
        """Make the images readable; called before the first `read`. Raises `UserError`."""

    @abstractmethod
    def parts(self, hash_all_sizes: bool) -> Sequence[Part]:
        """Return the values that distinguish this list from others, for `digest`."""

    @abstractmethod
    def stamps(self) -> NDArray[np.int64]:
        """Return modification times in ns, and sizes, of the files that hold the images: (N, 2)."""


@dataclass(frozen=True)
class ImageFiles(Images):
    """One split as files.

    Attributes:
        root: the folder that paths are relative to.
        paths: (N,) relative paths.
        labels: (N,) int64.
        boxes: (N, 4) float32, left, top, right and bottom edge of each object in pixels of its upright image. None if
            no box is known, NaN for single images without one.
        crops: (N, 4) int64, edges of the part of each upright image that is used as if it were the whole image, so that
            one file can hold several samples. None for whole images.
    """

    root: Path
    paths: Names
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None
    crops: NDArray[np.int64] | None = None

    def path(self, index: int) -> str:
        """Return the path of an image."""
        return os.path.join(self.root, os.fsdecode(self.paths[index]))  # noqa: PTH118 - a million times

    def name(self, index: int) -> str:
        return self.path(index)

    def read(self, index: int) -> bytes:
        return read_regular(self.path(index))

    def open(self, index: int) -> BinaryIO:
        """Open the file of an image. Raises `OSError` if it is not a regular file."""
        return open_regular(self.path(index))

    def parts(self, hash_all_sizes: bool) -> Sequence[Part]:
        """Return paths, labels, boxes, crops, and sizes of all files or of the first one of each class.

        For a well-known set, the first ones distinguish the original from a copy of another resolution; getting the
        sizes of a million files from a network file system takes minutes.
        """
        measured = np.arange(len(self)) if hash_all_sizes else np.unique(self.labels, return_index=True)[1]
        sizes = [os.stat(self.path(index)).st_size for index in measured]  # noqa: PTH116
        parts: list[Part] = [b"\0".join(self.paths), self.labels, np.asarray(sizes, np.int64), self.boxes]
        return parts if self.crops is None else [*parts, self.crops]

    def stamps(self) -> NDArray[np.int64]:
        """Return modification times in ns, and sizes, of the files: (N, 2)."""
        return stamps_of(map(self.path, range(len(self))))

    @classmethod
    def from_lists(
        cls,
        root: Path,
        paths: Sequence[str],
        labels: Sequence[int] | NDArray[np.int64],
        boxes: Sequence[Sequence[float]] | NDArray[Any] | None = None,
        crops: NDArray[np.int64] | None = None,
    ) -> "ImageFiles":
        """Build a split.

        Args:
            root: the folder that paths are relative to.
            paths: N relative paths.
            labels: N labels.
            boxes: (N, 4) in pixels, optional; see the class.
            crops: (N, 4) in whole pixels, optional; see the class.
        """
        names = np.array([os.fsencode(path) for path in paths], np.bytes_)
        known = None if boxes is None else np.asarray(boxes, np.float32).reshape(-1, 4)
        return cls(root, names, np.asarray(labels, np.int64), known, crops)

    def take(self, chosen: NDArray[np.bool_]) -> "ImageFiles":
        """Return the images where the mask (N,) is true."""
        boxes = None if self.boxes is None else self.boxes[chosen]
        crops = None if self.crops is None else self.crops[chosen]
        return ImageFiles(self.root, self.paths[chosen], self.labels[chosen], boxes, crops)

    @classmethod
    def empty(cls, root: Path) -> "ImageFiles":
        """Build a split without images."""
        return cls(root, np.empty(0, np.bytes_), np.empty(0, np.int64))


def read_classes(root: Path, split: str, classes: Sequence[str]) -> ImageFiles:
    """List all images below `root/split/<class>`, by class and then by name as torchvision's `ImageFolder` does.

    Labels are indices into `classes`; a class may have no folder. Without a `split`, classes are folders in `root`.
    """
    parts, labels = [np.empty(0, np.bytes_)], [np.empty(0, np.int64)]
    prefix = f"{split}/" if split else ""
    for label, name in enumerate(classes):
        folder = root / split / name
        if folder.is_dir():
            parts.append(images_below(os.fspath(folder), os.fsencode(f"{prefix}{name}/")))
            labels.append(np.full(len(parts[-1]), label, np.int64))
    return ImageFiles(root, np.concatenate(parts), np.concatenate(labels))


def stamps_of(paths: Iterable[str | Path]) -> NDArray[np.int64]:
    """Return modification times in ns, and sizes: (N, 2), with zeros for a missing file."""

    def stamp(path: str | Path) -> tuple[int, int]:
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return 0, 0
        return status.st_mtime_ns, status.st_size

    return np.array([stamp(path) for path in paths], np.int64).reshape(-1, 2)


def missing_files(root: Path, paths: Sequence[str]) -> list[str]:
    """Return the relative paths that are not images below `root`. Each folder is listed once."""

    @cache
    def names(folder: str) -> frozenset[bytes]:
        path = root / folder
        return frozenset(listing(str(path)).files.tolist()) if path.is_dir() else frozenset()

    parts = ((path, *path.rpartition("/")) for path in paths)
    return [path for path, folder, _, name in parts if os.fsencode(name) not in names(folder)]


def digest(splits: Iterable[Images], hash_all_sizes: bool) -> str:
    """Return a hash that distinguishes these lists from others, by the sizes of all files or of some."""
    hasher = hashlib.sha256()
    for images in splits:
        for part in images.parts(hash_all_sizes):
            hasher.update(hashlib.sha256(b"" if part is None else np.ascontiguousarray(part).tobytes()).digest())
    return hasher.hexdigest()[:16]


def first_few(names: Sequence[str], count: int = 3) -> str:
    """Return the first few of many names, for a message."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
