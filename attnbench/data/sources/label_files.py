"""Label files as data sets' authors write them: text with one row a line, MATLAB's files, and annotations in XML.

What such files say is joined by id or name, never by the order of lines.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.image_files import SETTLED_NS, first_of

T = TypeVar("T")
EDGES = ("xmin", "ymin", "xmax", "ymax")


class LabelFileError(Exception):
    """Label files contradict one another, themselves or the images; the message names the file and the first ones."""

    def __init__(self, path: Path, told: str) -> None:
        super().__init__(f"{path}: {told}")


# text


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without those that are blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise LabelFileError(path, f"cannot be read: {reason}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_rows(path: Path, count: int = 1, header: bool = False) -> list[list[str]]:
    """Words of each line of a text file, `count` of them or more."""
    rows = [line.split() for line in read_lines(path)[header:]]
    short = [" ".join(row)[:80] for row in rows if len(row) < count]
    if short:
        raise LabelFileError(path, f"has lines of fewer than {count} words: {first_of(short)}")
    return rows


def read_table(path: Path, header: bool = False) -> dict[str, str]:
    """Rows of a text file: what follows the first word, by that word."""
    table: dict[str, str] = {}
    for line in read_lines(path)[header:]:
        key, *rest = line.split(maxsplit=1)
        if not rest:
            raise LabelFileError(path, f"nothing follows {key}")
        if key in table:
            raise LabelFileError(path, f"{key} stands there twice")
        table[key] = rest[0]
    return table


def numbered(path: Path, table: Mapping[str, str]) -> list[str]:
    """A table's ids in the order of their numbers."""
    odd = [key for key in table if not key.isdecimal()]
    if odd:
        raise LabelFileError(path, f"{first_of(odd)}: is no number")
    return sorted(table, key=int)


def numbers(
    path: Path, rows: Iterable[tuple[str, Sequence[str]]], kind: type[int] | type[float] = float, count: int = 4
) -> NDArray[Any]:
    """Numbers (N, count) from the words that stand with each of N names: finite ones, or whole ones."""
    found, bad = [], []
    for name, words in rows:
        try:
            values = [kind(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            bad.append(name)
        found.append(values)
    if bad:
        what = f"{count} {'whole ' if kind is int else ''}number{'s' if count > 1 else ''}"
        raise LabelFileError(path, f"must give {what} for {first_of(bad)}")
    return np.array(found, np.int64 if kind is int else np.float32).reshape(-1, count)


# MATLAB's files


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """A variable of a MATLAB file as an array with one axis or more, without axes of one element."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, squeeze_me=True, variable_names=[variable])
    except Exception as error:  # SciPy raises what it trips over: IndexError, zlib.error, MatReadError, …
        raise LabelFileError(path, f"cannot be read as a MATLAB file: {error}") from error
    if variable not in found:
        raise LabelFileError(path, f"has no variable {variable}")
    values = np.atleast_1d(found[variable])
    if not values.size:
        raise LabelFileError(path, f"has nothing in its variable {variable}")
    return values


def field(path: Path, rows: NDArray[Any], name: str) -> NDArray[Any]:
    """A field (N,) of a MATLAB structure array."""
    if name not in (rows.dtype.names or ()):
        raise LabelFileError(path, f"has no field {name}")
    return rows[name]


def integers(path: Path, values: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers (N,) that MATLAB stored together, or one by one, each as the smallest type that holds it."""
    try:
        return np.array([int(value) for value in values], np.int64)
    except (TypeError, ValueError) as error:
        raise LabelFileError(path, f"has no whole numbers where they must be: {error}") from error


# annotations in the form of Pascal VOC's


def read_boxes(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Boxes (K, 4) of each annotation in a folder, by its name without ending: left, top, right and bottom as they
    stand there. Thousands of files are not read again for every configuration of a sweep.
    """

    def read() -> dict[str, NDArray[np.float32]]:
        paths = (path for path in folder.iterdir() if path.suffix in ("", ".xml"))  # systems add Thumbs.db and others
        return {path.stem: boxes_of(path) for path in paths if not path.name.startswith(".")}

    return remembered(folder, [folder], read)


def boxes_of(path: Path) -> NDArray[np.float32]:
    """Boxes (K, 4) of an annotation, none if it marks nothing."""
    try:
        found = ElementTree.parse(path).getroot().iter("bndbox")
    except (OSError, ElementTree.ParseError) as error:
        raise LabelFileError(path, f"cannot be read as an annotation: {error}") from error
    return numbers(path, (("bndbox", [box.findtext(edge, "") for edge in EDGES]) for box in found))


# whether they agree


def require_same(path: Path, found: Iterable[str], other: Path, known: Iterable[str]) -> None:
    """Raise `LabelFileError` unless two files are about the same ids."""
    require_known(path, found, other, known)
    require_all(path, found, other, known)


def require_known(path: Path, found: Iterable[str], other: Path, known: Iterable[str]) -> None:
    """Raise `LabelFileError` for what a file mentions and the other one does not know."""
    if strange := _without(found, known):
        raise LabelFileError(path, f"has {first_of(strange)}, which {other.name} lacks")


def require_all(path: Path, found: Iterable[str], other: Path, wanted: Iterable[str]) -> None:
    """Raise `LabelFileError` for what the other file mentions and this one does not."""
    if missing := _without(wanted, found):
        raise LabelFileError(path, f"lacks {first_of(missing)}, which {other.name} has")


def _without(names: Iterable[str], others: Iterable[str]) -> list[str]:
    left_out = set(others)
    return [name for name in dict.fromkeys(names) if name not in left_out]


# classes


def distinct(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes, of which there must be two or more, each another."""
    classes = tuple(names)
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise LabelFileError(path, f"has several classes called {first_of(twice)}")
    if len(classes) < 2:
        raise LabelFileError(path, f"has {len(classes)} class{'es' if not classes else ''}; there must be 2 or more")
    return classes


def name_class(path: Path, image: str, number: int, name: str, classes: dict[int, str]) -> None:
    """Note what the class with a number is called; an image of that class must not be called otherwise."""
    known = classes.setdefault(number, name)
    if known != name:
        raise LabelFileError(path, f"{image}: class {number} is {known} elsewhere")


def labels_of(path: Path, names: Sequence[str], other: Path, classes: Sequence[str]) -> NDArray[np.int64]:
    """Labels (N,) of class names that the other file lists."""
    require_known(path, names, other, classes)
    place = {name: label for label, name in enumerate(classes)}
    return np.array([place[name] for name in names], np.int64)


def labels_from_one(path: Path, images: Sequence[str], counted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Labels (N,) of images whose classes are numbered from 1."""
    strange = [image for image, number in zip(images, counted, strict=True) if not 1 <= number <= classes]
    if strange:
        raise LabelFileError(path, f"{first_of(strange)}: class is not from 1 to {classes}")
    return counted - 1


def require_trained(path: Path, classes: Sequence[str], labels: NDArray[np.int64]) -> None:
    """Raise `LabelFileError` for classes that no training image is of: a part of a set must not pass for more."""
    present = set(labels.tolist())
    empty = [name for label, name in enumerate(classes) if label not in present]
    if empty:
        raise LabelFileError(path, f"has classes without a training image: {first_of(empty)}")


# memory

_memory: dict[Any, tuple[Any, Any]] = {}


def remembered(key: Any, paths: Iterable[Path], read: Callable[[], T]) -> T:
    """What `read` gives, remembered until one of the files or folders that it reads changes: a sweep's many
    configurations ask for the same label files.
    """
    stamps = [(path, stat.st_mtime_ns, stat.st_size) for path in paths for stat in [path.stat()]]
    if key in _memory and _memory[key][0] == stamps:
        return cast(T, _memory[key][1])
    result = read()
    if time.time_ns() - max(changed for _, changed, _ in stamps) > SETTLED_NS:
        _memory[key] = (stamps, result)
    return result
