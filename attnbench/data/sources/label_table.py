"""A user's own table of images: a CSV file with a line for each image, its file and its label.

Columns are found by their names: `file` (`filename`, `path`, `image`, `id` …), `label` (`class`, `category`, …) and,
optionally, `split`. Without such a header, the first column is the file and the second the label.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnbench.data.sources.folders import EXTENSIONS, extension_of, images_below, read_regular
from attnbench.data.sources.image_files import ImageFiles, first_few
from attnbench.data.sources.label_files import LabelFileError, class_names
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.sources.split_names import WORDS
from attnbench.data.splits import SPLITS, Split

FILE = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "image_id", "image_name", "id")
LABEL = ("label", "labels", "class", "class_name", "category", "target")
SPLIT = ("split", "set", "subset")


class LabelledFiles(NamedTuple):
    """The images that a table lists.

    Attributes:
        classes: names of the training images' classes, in alphabetical order, or in that of numbers.
        splits: the images of each split.
        groups: the group of each image by its path; empty if no column was named.
        left_out: images that the table does not list, and what else is in the folder.
    """

    classes: tuple[str, ...]
    splits: dict[Split, ImageFiles]
    groups: dict[str, str]
    left_out: LeftOut


class _Table(NamedTuple):
    """The lines of a table; `splits` and `groups` are empty if there is no such column."""

    paths: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[Split]
    groups: Sequence[str]


def read_labelled_files(path: Path, root: Path, group: str | None, tested: bool) -> LabelledFiles:
    """Read a table, and find its images.

    Args:
        path: of the table.
        root: the folder that holds the images.
        group: the column of groups; ignored where it is no column's name.
        tested: whether test images are held out of the training images. Otherwise the validation split is the test
            split if there is no other.

    Raises:
        LabelFileError: the table cannot be used.
    """
    table_name = path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
    left_out = LeftOut(ignored=(table_name,))
    images = [os.fsdecode(name) for name in images_below(os.fspath(root), left_out=left_out).tolist()]
    table = _read(path, images, group)
    left_out.add(f"not in {path.name}", set(images) - set(table.paths))
    splits = np.array(table.splits or ["train"] * len(table.paths))
    if not tested and "test" not in splits:
        splits[splits == "validation"] = "test"
    classes = _classes(path, [name for name, split in zip(table.labels, splits, strict=True) if split == "train"])
    known = {name: label for label, name in enumerate(classes)}
    unknown = sorted({name for name in table.labels if name not in known})
    if unknown:
        raise LabelFileError(path, f"has classes without a training image: {first_few(unknown)}")
    labels = [known[name] for name in table.labels]
    groups = dict(zip(table.paths, table.groups, strict=True)) if table.groups else {}
    order = sorted(range(len(labels)), key=table.paths.__getitem__)  # that of lines has no meaning
    whole = ImageFiles.from_lists(root, [table.paths[line] for line in order], [labels[line] for line in order])
    in_split = {split: whole.take(splits[order] == split) for split in SPLITS}
    return LabelledFiles(classes, in_split, groups, left_out)


def _classes(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    numbers = all(name.isdecimal() for name in names)
    return class_names(path, sorted(set(names), key=lambda name: (int(name), name) if numbers else name))


def _read(path: Path, images: Sequence[str], group: str | None) -> _Table:
    head, *rows = _rows(path) or [[]]
    known = {name.strip().lower(): place for place, name in enumerate(head)}
    places = _columns(path, head, known, set(images))
    if places.pop("first", None) is not None:
        rows.insert(0, head)
    if group and group.lower() in known:
        places["group"] = known[group.lower()]
    _require_cells(path, rows, places)
    cells = {what: [row[place].strip() for row in rows] for what, place in places.items()}
    splits, groups = _splits(path, cells.get("split", ())), cells.get("group", ())
    return _Table(_found(path, cells["file"], images), cells["label"], splits, groups)


def _require_cells(path: Path, rows: Sequence[Sequence[str]], places: Mapping[str, int]) -> None:
    """Raise `LabelFileError` for lines that end too early, or whose label or group is empty."""
    filled = [places[what] for what in ("label", "group") if what in places]
    last = max(places.values())
    short = [",".join(row) for row in rows if len(row) <= last or not all(row[place].strip() for place in filled)]
    if short:
        what = "a file, a label or a group" if "group" in places else "a file or a label"
        raise LabelFileError(path, f"has lines without {what}: {first_few(short)}")


def _rows(path: Path) -> list[list[str]]:
    """Read the lines of a table whose columns are separated by commas, semicolons or tabs; blank ones are left out."""
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file in UTF-8"
        raise LabelFileError(path, f"cannot be read: {reason}") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise LabelFileError(path, f"is not a table: {error}") from error


def _columns(path: Path, head: Sequence[str], known: Mapping[str, int], images: set[str]) -> dict[str, int]:
    """Return the place of each column; with `first` if the first line is no header."""
    wanted = {"file": FILE, "label": LABEL, "split": SPLIT}
    found = {what: next((known[name] for name in names if name in known), None) for what, names in wanted.items()}
    places = {what: place for what, place in found.items() if place is not None}
    if {"file", "label"} <= set(places):
        return places
    if len(head) >= 2 and (head[0].strip() in images or extension_of(head[0].strip()) in EXTENSIONS):
        return {"file": 0, "label": 1, "first": 0}
    missing = " and ".join(what for what in ("file", "label") if what not in places)
    raise LabelFileError(path, f"has no column {missing} (it has {', '.join(head) or 'no lines'})")


def _found(path: Path, names: Sequence[str], images: Sequence[str]) -> list[str]:
    """Return the path of each named image; a name may lack its extension. Raises `LabelFileError`."""
    by_name: dict[str, list[str]] = {}
    for image in images:
        for name in (image, image.rpartition(".")[0]):
            by_name.setdefault(name, []).append(image)
    found = [by_name.get(name.removeprefix("./"), []) for name in names]
    wrong = [name for name, paths in zip(names, found, strict=True) if len(paths) != 1]
    if wrong:
        problem = f"{len(wrong):,} of its {len(names):,} files are not images in data.root: {first_few(wrong)}"
        raise LabelFileError(path, f"{problem}; names are relative to data.root")
    paths = [one for (one,) in found]
    repeated = [name for name, times in Counter(paths).items() if times > 1]
    if repeated:
        raise LabelFileError(path, f"lists images twice: {first_few(repeated)}")
    return paths


def _splits(path: Path, words: Sequence[str]) -> list[Split]:
    unknown = sorted({word for word in words if word.lower() not in WORDS})
    if unknown:
        raise LabelFileError(path, f"names splits that are not train, val or test: {first_few(unknown)}")
    return [WORDS[word.lower()] for word in words]
