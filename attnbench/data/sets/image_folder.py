"""A user's own images, in one of three layouts.

- `root/train/<class>/<image>`, and the same below `val` and `test`. Other words for splits are understood too, in small
  or capital letters (`split_names.WORDS`). If there is a `test` folder, `val` is the validation split. Otherwise `val`
  is the test split, and `data.validation` images of `train` can be held out. Without both, nothing is tested.
- `root/<class>/<image>`, with `data.test`: the images that are held out for testing, of each class.
- `data.labels`: a table of files and labels; see `label_table`.

What `data.test` holds out depends on the images' names only, by a hash: not on the seed, the order of files or the
system. So does what `data.validation` holds out, where `data.test`, `data.labels` or `data.group` is given or it is a
share.
"""

import hashlib
import os
import re
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.split_folders import SplitFolders
from attnbench.data.sources.find_layout import in_splits, where_classes_are
from attnbench.data.sources.folders import folders_in
from attnbench.data.sources.image_files import ImageFiles, first_few, read_classes
from attnbench.data.sources.label_files import LabelFileError
from attnbench.data.sources.label_table import LabelledFiles, read_labelled_files
from attnbench.data.sources.left_out import LeftOut, warn_once
from attnbench.data.splits import SPLITS, Split, hold_out_by_name, quotas_of
from attnbench.errors import OptionError, require


class ImageFolder(SplitFolders):
    """A user's own images.

    Args:
        validation: training images to hold out for validation, a number or a share likewise.
        test: images to hold out for testing, balanced over the classes: a number, or a share of each class below 1.
        labels: a CSV file of files and labels; None where folders are the classes.
        group: images of one group are never in two splits: a column of `labels`, or a regular expression; what its
            parentheses match in an image's path names the group.
        options: see `FileDataSet`.
    """

    name = "image_folder"
    terms = "your own"
    instructions: ClassVar[str] = (
        "set data.root to a folder that holds train/<class>/<image>, and the same for val or test; "
        "or <class>/<image>, with data.test=0.2"
    )

    def __init__(
        self,
        validation: int | float = 0,
        test: int | float = 0,
        labels: str | None = None,
        group: str | None = None,
        **options: Any,
    ) -> None:
        self.test, self.labels, self.group = test, labels, group
        require(_is_amount(test), "test", test, "must be a number of images, or a share of them below 1")
        options["validation"] = validation
        super().__init__(**options)
        self._pattern = _compiled(group)

    def require_validation(self, validation: float) -> None:
        expected = "must not be negative, and a number of images, or a share of them below 1"
        require(_is_amount(validation), "validation", validation, expected)

    @cached_property
    def _in_classes(self) -> bool:
        """Whether the folders in `root` are classes."""
        return bool(self.test) and not in_splits(self.root)

    @cached_property
    def _table(self) -> LabelledFiles:
        """The content of `data.labels`. Raises `UserError`."""
        given = Path(str(self.labels)).expanduser()
        path = given if given.exists() else self.root / given
        if not self.root.is_dir():
            raise self.layout_error(f"no folder {self.root}; set data.root to the folder that holds the images")
        try:
            return read_labelled_files(path, self.root, self.group, tested=bool(self.test))
        except LabelFileError as error:
            raise self.layout_error(f"data.labels={self.labels}: {error}") from error

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known once files are listed
        """Names of the classes. Raises `UserError` if files are missing or wrong."""
        if self.labels is not None:
            return self._table.classes
        if not self._in_classes:
            return super().classes
        self.check_layout()
        return tuple(folders_in(self.root))

    def check_layout(self) -> None:
        if self.labels is not None:
            _ = self._table
        elif self._in_classes and self.root.is_dir():
            classes = folders_in(self.root)
            if len(classes) < 2:
                hint = where_classes_are(self.root) or self.instructions
                raise self.layout_error(f"{self.root} holds {len(classes)} class folders; {hint}")
            self.require_images(self.root, classes)
        else:
            super().check_layout()

    def given(self, split: Split) -> ImageFiles:
        """List the images of a split before any are held out."""
        if self.labels is not None:
            return self._table.splits.get(split, ImageFiles.empty(self.root))
        if not self._in_classes:
            return super().files(split)
        return read_classes(self.root, "", self.classes) if split == "train" else ImageFiles.empty(self.root)

    def files(self, split: Split) -> ImageFiles:
        if not self.test or split == "validation":
            return self.given(split)
        return self._pool.take(self._tested if split == "test" else ~self._tested)

    @cached_property
    def _pool(self) -> ImageFiles:
        return self.given("train")

    @cached_property
    def _tested(self) -> NDArray[np.bool_]:
        quotas = quotas_of(self._class_counts(self._pool), self.test)
        return hold_out_by_name(self._pool.labels, self._pool.paths, quotas, self._groups(self._pool))

    @cached_property
    def _fingerprint(self) -> str:
        """Names and sizes of the files, and the groups of a table where they alone decide what is held out."""
        files, grouped = super()._fingerprint, self.validation and self.labels is not None and self._table.groups
        groups = self._groups(self.listed("train")) if grouped else None
        return files if groups is None else f"{files} {hashlib.sha256(repr(groups.tolist()).encode()).hexdigest()[:16]}"

    def held_out(self) -> NDArray[np.bool_]:
        if not (self.test or self.labels or self.group or self.validation < 1):
            return super().held_out()
        train = self.listed("train")
        counts = self._class_counts(train)
        quotas = quotas_of(counts, self.validation)
        if self.validation < 1:  # a share of all images, tested ones included
            quotas = np.minimum(quotas_of(self._class_counts(self._pool), self.validation), np.maximum(counts - 1, 0))
        return hold_out_by_name(train.labels, train.paths, quotas, self._groups(train))

    def check_available(self) -> None:
        if self.test and (own := len(self.given("test"))):
            raise self.layout_error(f"data.test={self.test}: {self.root} has its own {own} test images; set it to 0")
        super().check_available()
        self._report_shared_groups()

    def _report_shared_groups(self) -> None:
        """Log which groups are in several splits on disk. Raises `UserError` for an image without a group."""
        groups = [self._groups(self.listed(split)) for split in SPLITS]
        names = Counter(name for found in groups if found is not None for name in set(found.tolist()))
        several = sorted(os.fsdecode(name).replace("\0", " ") for name, splits in names.items() if splits > 1)
        if several:
            warn_once(
                f"data={self.name}: splits in {self.root} share groups of {self.group_name}: {first_few(several)}"
            )

    @property
    def amounts(self) -> dict[Split, float]:
        return {"test": self.test, "validation": self.validation}

    @property
    def group_name(self) -> str:
        return f"data.group={self.group}" if self.group else ""

    def given_labels(self) -> NDArray[np.int64]:
        return (self._pool if self.test else self.listed("train")).labels

    def _class_counts(self, files: ImageFiles) -> NDArray[np.int64]:
        return np.bincount(files.labels, minlength=len(self.classes))

    def _groups(self, files: ImageFiles) -> NDArray[np.bytes_] | None:
        """Return the name of each image's group (N,), or None if images are not grouped. Raises `UserError`."""
        if self._pattern is None:
            return None
        paths = [os.fsdecode(path) for path in files.paths]
        if self.labels is not None and self._table.groups:
            return np.array([os.fsencode(self._table.groups[path]) for path in paths], np.bytes_)
        matches = [self._pattern.search(path) for path in paths]
        unmatched = [path for path, match in zip(paths, matches, strict=True) if match is None]
        if unmatched:
            what = f"neither a column of {self.labels} nor found" if self.labels is not None else "not found"
            raise self.layout_error(f"data.group={self.group}: is {what} in {first_few(unmatched)}")
        names = ["\0".join(match.groups(default="") or (match[0],)) for match in matches if match is not None]
        return np.array([os.fsencode(name) for name in names], np.bytes_)

    def left_out(self) -> LeftOut:
        if self.labels is not None:
            return self._table.left_out
        if not self._in_classes:
            return super().left_out()
        left_out = LeftOut()
        self.leave_out_classes(left_out, "", self.classes)
        return left_out


def _is_amount(value: float) -> bool:
    """Return whether a value is a number of images, or a share of them."""
    return value >= 0 and (value < 1 or value == int(value))


def _compiled(group: str | None) -> re.Pattern[str] | None:
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise OptionError("group", group, f"is not a regular expression: {error}") from error
