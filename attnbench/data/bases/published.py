"""The base class of published image sets in their authors' layout, whose label files are checked against the images.

A part of a set with only some of its classes is read like the whole set; lists and records say how many it has.
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
from attnbench.data.sources.folders import BROKEN, SPECIAL, images_below, listing
from attnbench.data.sources.image_files import ImageFiles, first_few, missing_files
from attnbench.data.sources.label_files import LabelFileError, cached_until_changed
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.splits import SPLITS, Split, hold_out_groups
from attnbench.errors import UserError


@dataclass(frozen=True)
class LabelledSplits:
    """The splits of a set, as its label files list them.

    Attributes:
        classes: names of the classes.
        train: training images; labels are indices into `classes`, boxes are optional.
        test: test images.
        validation: validation images, if the set has its own.
        groups: (N,) group of each training image; images of one group are never split between training and validation.
            None where every image is its own group and must be listed only once.
        complete_folders: folders in which every image must be listed; elsewhere, unlisted images are left out.
        absent: listed images of classes that are not on disk; they may be there, and are left out.
    """

    classes: tuple[str, ...]
    train: ImageFiles
    test: ImageFiles
    validation: ImageFiles | None = None
    groups: NDArray[np.int64] | None = None
    complete_folders: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()

    @property
    def listed(self) -> list[str]:
        """Paths of the images of all splits."""
        present = [split for split in (self.train, self.validation, self.test) if split is not None]
        return [os.fsdecode(path) for split in present for path in split.paths]


class PublishedDataSet(FileDataSet):
    """A set in its authors' layout. Options as in `FileDataSet`; `root` holds `folder`, or is that folder.

    A subclass defines `name`, `all_classes` (the number of classes of the whole set), `read`, and these attributes.

    Attributes:
        folder: the folder that the set's archives unpack to.
        required: files and folders that must be in it, a label file first.
        alternative_folder: a folder below it in which they may be instead.
        extra_label_files: patterns of further label files.
        source: where to get the set.
        read_options: names of the attributes that `read` depends on.
    """

    folder: ClassVar[str]
    required: tuple[str, ...]
    alternative_folder: ClassVar[str] = ""
    extra_label_files: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str]
    read_options: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def home(self) -> Path:
        """The folder that holds the set, or in which it is expected if it is missing."""
        inner = Path(self.folder)
        candidates = [self.root.joinpath(*inner.parts[start:]) for start in range(len(inner.parts) + 1)]
        return next((folder for folder in candidates if self._within(folder, self.required[0]).exists()), candidates[0])

    def path_of(self, name: str) -> Path:
        """Return the path of a file or folder of the set."""
        return self._within(self.home, name)

    def _within(self, home: Path, name: str) -> Path:
        usual, other = home / name, home / self.alternative_folder / Path(name).name
        return other if self.alternative_folder and other.exists() and not usual.exists() else usual

    def _require_files(self) -> None:
        missing = [name for name in self.required if not self.path_of(name).exists()]
        if not self.home.is_dir():
            problem = f"no {self.folder} in {self.root}; set data.root to the folder that holds it"
            raise UserError(f"data={self.name}: {problem} ({self.source})")
        if missing:
            problem = f"no {first_few(missing)} in {self.home}; unpack the rest of the set there"
            raise UserError(f"data={self.name}: {problem} ({self.source})")

    @abstractmethod
    def read(self) -> LabelledSplits:
        """Read the label files. Raises `LabelFileError` where they are inconsistent."""

    @cached_property
    def labelled_splits(self) -> LabelledSplits:
        """Content of the label files, checked against the images. Raises `UserError`."""
        self._require_files()
        files = [path for path in map(self.path_of, self.required) if path.is_file()]
        files += (path for pattern in self.extra_label_files for path in sorted(self.home.glob(pattern)))
        key = (type(self), self.home, *(getattr(self, name) for name in self.read_options))
        with self._as_user_errors():
            splits = cached_until_changed(key, files, self.read)
            check_images(splits, self.home)
        return splits

    @contextmanager
    def _as_user_errors(self) -> Iterator[None]:
        """Turn a `LabelFileError` into a `UserError` that names the set."""
        try:
            yield
        except LabelFileError as error:
            raise UserError(f"data={self.name}: {error}") from error

    def check_layout(self) -> None:
        _ = self.labelled_splits

    def check_available(self) -> None:
        from attnbench.data.bases.box_check import report_boxes_beyond  # imports Pillow

        super().check_available()
        for split in SPLITS:
            images = self.listed(split)
            if images.boxes is not None and isinstance(images, ImageFiles):
                report_boxes_beyond(images, f"data={self.name}: {self.home}: {split}")

    @property
    def place(self) -> Path:
        return self.home

    def left_out(self) -> LeftOut:
        return unlisted_images(self.labelled_splits, self.home)

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known once the label files are read
        """Names of the classes. Raises `UserError` if the set is missing."""
        return self.labelled_splits.classes

    @property
    def num_classes(self) -> int:
        """Number of classes on disk, or of the whole set if it is missing: costs can be counted without data."""
        return len(self.classes) if self.path_of(self.required[0]).exists() else self.all_classes

    def files(self, split: Split) -> ImageFiles:
        images: ImageFiles | None = getattr(self.labelled_splits, split)
        if images is None:
            return ImageFiles.empty(self.home)
        with self._as_user_errors():
            return self.with_boxes(images)

    def with_boxes(self, files: ImageFiles) -> ImageFiles:
        """Add the boxes of sets that have one box file for each image, which are too slow to read in `read`."""
        return files

    @property
    def group_name(self) -> str:
        return "images that belong together" if self.labelled_splits.groups is not None else ""

    def held_out(self) -> NDArray[np.bool_]:
        groups = self.labelled_splits.groups
        if groups is None:
            return super().held_out()
        return hold_out_groups(self.listed("train").labels, groups, self.validation)


def check_images(splits: LabelledSplits, home: Path) -> None:
    """Raise `LabelFileError` for listed images that are missing, images that are not listed, and repeated ones."""
    listed = splits.listed
    missing = missing_files(home, listed)
    if missing:
        raise LabelFileError(home, f"lacks images that label files list: {first_few(missing)}")
    below = (images_below(str(home / folder), f"{folder}/".encode()).tolist() for folder in splits.complete_folders)
    unlisted = sorted({os.fsdecode(path) for paths in below for path in paths} - {*listed, *splits.absent})
    if unlisted:
        raise LabelFileError(home, f"has images that no label file lists: {first_few(unlisted)}")
    repeated = [path for path, times in Counter(listed).items() if times > 1]
    if repeated and splits.groups is None:
        raise LabelFileError(home, f"label files list images twice: {first_few(repeated)}")


def unlisted_images(splits: LabelledSplits, home: Path) -> LeftOut:
    """Count the images on disk, beside those of the splits, that are not used."""
    left_out, listed = LeftOut(), set(splits.listed)
    for folder in sorted({path.rpartition("/")[0] for path in listed}):
        found, prefix = listing(os.fspath(home / folder)), f"{folder}/" if folder else ""
        unlisted = [path for name in found.files.tolist() if (path := prefix + os.fsdecode(name)) not in listed]
        left_out.add("images of absent classes", (path for path in unlisted if path in splits.absent))
        left_out.add("images in no list", (path for path in unlisted if path not in splits.absent))
        for reason in (BROKEN, SPECIAL):
            left_out.add(reason, (prefix + name for name in found.others.get(reason, ())))
    return left_out
