"""Readers of label files: text with one row in each line, MATLAB files, and XML annotations.

Their contents are joined by id or name, never by the order of lines.
"""

import io
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.folders import SETTLED_NS, read_regular
from attnbench.data.sources.image_files import first_few

T = TypeVar("T")
EDGES = ("xmin", "ymin", "xmax", "ymax")


class LabelFileError(Exception):
    """Label files are damaged or inconsistent; the message names the file and the first offending entries."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, without blank ones."""
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise LabelFileError(path, f"cannot be read: {reason}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_rows(path: Path, count: int = 1, header: bool = False) -> list[list[str]]:
    """Read the words of each line of a text file; every line must have at least `count`."""
    rows = [line.split() for line in read_lines(path)[header:]]
    short = [" ".join(row)[:80] for row in rows if len(row) < count]
    if short:
        raise LabelFileError(path, f"has lines of fewer than {count} words: {first_few(short)}")
    return rows


def read_table(path: Path, header: bool = False) -> dict[str, str]:
    """Read a text file as a table from the first word of each line to the rest of it."""
    table: dict[str, str] = {}
    for line in read_lines(path)[header:]:
        key, *rest = line.split(maxsplit=1)
        if not rest:
            raise LabelFileError(path, f"nothing follows {key}")
        if key in table:
            raise LabelFileError(path, f"{key} is listed twice")
        table[key] = rest[0]
    return table


def sorted_by_number(path: Path, table: Mapping[str, str]) -> list[str]:
    """Return a table's keys sorted as numbers."""
    malformed = [key for key in table if not key.isdecimal()]
    if malformed:
        raise LabelFileError(path, f"{first_few(malformed)}: is not a number")
    return sorted(table, key=int)


def numbers(
    path: Path, rows: Iterable[tuple[str, Sequence[str]]], kind: type[int] | type[float] = float, count: int = 4
) -> NDArray[Any]:
    """Parse the words listed for each of N names as finite numbers: (N, count) float32, or int64 if `kind` is int."""
    table, malformed = [], []
    for name, words in rows:
        try:
            values = [kind(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            malformed.append(name)
        table.append(values)
    if malformed:
        expected = f"{count} {'whole ' if kind is int else ''}number{'s' if count > 1 else ''}"
        raise LabelFileError(path, f"must give {expected} for {first_few(malformed)}")
    return np.array(table, np.int64 if kind is int else np.float32).reshape(-1, count)


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """Read a variable of a MATLAB file as an array of one or more axes, with axes of length 1 removed."""
    from scipy.io import loadmat

    try:
        content = io.BytesIO(read_regular(path))
        variables = loadmat(content, squeeze_me=True, variable_names=[variable])
    except Exception as error:  # SciPy raises IndexError, zlib.error, MatReadError, …
        raise LabelFileError(path, f"cannot be read as a MATLAB file: {error}") from error
    if variable not in variables:
        raise LabelFileError(path, f"has no variable {variable}")
    values = np.atleast_1d(variables[variable])
    if not values.size:
        raise LabelFileError(path, f"its variable {variable} is empty")
    return values


def field(path: Path, rows: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a field (N,) of a MATLAB structure array."""
    if name not in (rows.dtype.names or ()):
        raise LabelFileError(path, f"has no field {name}")
    return rows[name]


def integers(path: Path, values: NDArray[Any]) -> NDArray[np.int64]:
    """Return whole numbers (N,), which MATLAB may store as one array or as single values of different types."""
    try:
        return np.array([int(value) for value in values], np.int64)
    except (TypeError, ValueError) as error:
        raise LabelFileError(path, f"does not hold whole numbers: {error}") from error


def read_boxes(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Read the boxes of all Pascal VOC annotations in a folder; cached until the folder changes.

    Returns:
        For each annotation, by its file name without extension, boxes (K, 4): left, top, right and bottom as written.
    """

    def read() -> dict[str, NDArray[np.float32]]:
        paths = (path for path in folder.iterdir() if path.suffix in ("", ".xml"))  # skips Thumbs.db and the like
        return {path.stem: boxes_of(path) for path in paths if not path.name.startswith(".")}

    return cached_until_changed(folder, [folder], read)


def boxes_of(path: Path) -> NDArray[np.float32]:
    """Read the boxes (K, 4) of a Pascal VOC annotation; K may be 0."""
    try:
        boxes = ElementTree.fromstring(read_regular(path)).iter("bndbox")
    except (OSError, ElementTree.ParseError) as error:
        raise LabelFileError(path, f"cannot be read as an annotation: {error}") from error
    return numbers(path, (("bndbox", [box.findtext(edge, "") for edge in EDGES]) for box in boxes))


def require_same(path: Path, names: Iterable[str], other: Path, other_names: Iterable[str]) -> None:
    """Raise `LabelFileError` unless two files list the same names."""
    require_known(path, names, other, other_names)
    require_all(path, names, other, other_names)


def require_known(path: Path, names: Iterable[str], other: Path, other_names: Iterable[str]) -> None:
    """Raise `LabelFileError` for names in a file that the other file lacks."""
    if unknown := _without(names, other_names):
        raise LabelFileError(path, f"has {first_few(unknown)}, which {other.name} lacks")


def require_all(path: Path, names: Iterable[str], other: Path, other_names: Iterable[str]) -> None:
    """Raise `LabelFileError` for names in the other file that this one lacks."""
    if missing := _without(other_names, names):
        raise LabelFileError(path, f"lacks {first_few(missing)}, which {other.name} has")


def _without(names: Iterable[str], other_names: Iterable[str]) -> list[str]:
    excluded = set(other_names)
    return [name for name in dict.fromkeys(names) if name not in excluded]


def class_names(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return class names as a tuple. Raise `LabelFileError` unless they are two or more different ones."""
    classes = tuple(names)
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise LabelFileError(path, f"has several classes called {first_few(repeated)}")
    if len(classes) < 2:
        raise LabelFileError(path, f"has {len(classes)} class{'es' if not classes else ''}; there must be 2 or more")
    return classes


def name_class(path: Path, image: str, number: int, name: str, classes: dict[int, str]) -> None:
    """Record the name of a numbered class in `classes`. Raise `LabelFileError` if it has another name there."""
    known = classes.setdefault(number, name)
    if known != name:
        raise LabelFileError(path, f"{image}: class {number} is {known} elsewhere")


def labels_from_names(path: Path, names: Sequence[str], other: Path, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the labels (N,) of class names, which must be in the other file's `classes`."""
    require_known(path, names, other, classes)
    labels = {name: label for label, name in enumerate(classes)}
    return np.array([labels[name] for name in names], np.int64)


def labels_from_one(path: Path, images: Sequence[str], counted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the labels (N,) of images whose classes are numbered from 1."""
    invalid = [image for image, number in zip(images, counted, strict=True) if not 1 <= number <= classes]
    if invalid:
        raise LabelFileError(path, f"{first_few(invalid)}: class is not from 1 to {classes}")
    return counted - 1


def require_training_images(path: Path, classes: Sequence[str], labels: NDArray[np.int64]) -> None:
    """Raise `LabelFileError` for classes without a training image: a part of a set must not be taken for the whole."""
    present = set(labels.tolist())
    empty = [name for label, name in enumerate(classes) if label not in present]
    if empty:
        raise LabelFileError(path, f"has classes without a training image: {first_few(empty)}")


_cache: dict[Any, tuple[Any, Any]] = {}


def cached_until_changed(key: Any, paths: Iterable[Path], read: Callable[[], T]) -> T:
    """Return `read()`, cached until one of the files or folders that it reads changes.

    The many configurations of a sweep read the same label files.
    """
    stamps = [(path, stat.st_mtime_ns, stat.st_size) for path in paths for stat in [path.stat()]]
    if key in _cache and _cache[key][0] == stamps:
        return cast(T, _cache[key][1])
    result = read()
    if time.time_ns() - max(changed for _, changed, _ in stamps) > SETTLED_NS:
        _cache[key] = (stamps, result)
    return result
