"""Label files as data sets' authors write them: one row a line, an image's id or name first.

What such files say is joined by id, never by the order of lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.data.files import first_of


class Disagreement(Exception):
    """Label files contradict one another, themselves or the images; the message names the file and the first ones."""


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without those that are empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Disagreement(f"{path}: cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def read_table(path: Path) -> dict[str, str]:
    """Rows of a text file: what follows the first word, by that word."""
    table: dict[str, str] = {}
    for line in read_lines(path):
        key, _, rest = line.partition(" ")
        if not rest.strip():
            raise Disagreement(f"{path}: nothing follows {key}")
        if key in table:
            raise Disagreement(f"{path}: {key} stands there twice")
        table[key] = rest.strip()
    return table


def numbered(table: Mapping[str, str], path: Path) -> list[str]:
    """A table's ids in the order of their numbers."""
    odd = [key for key in table if not key.isdecimal()]
    if odd:
        raise Disagreement(f"{path}: {first_of(odd)}: is no number")
    return sorted(table, key=int)


def require_same(path: Path, found: Iterable[str], other: Path, known: Iterable[str]) -> None:
    """Raise `Disagreement` unless two files are about the same ids."""
    require_known(path, found, other, known)
    present = set(found)
    missing = [key for key in known if key not in present]
    if missing:
        raise Disagreement(f"{path}: lacks {first_of(missing)}, which {other.name} has")


def require_known(path: Path, found: Iterable[str], other: Path, known: Iterable[str]) -> None:
    """Raise `Disagreement` for what a file mentions and the other one does not know."""
    all_known = set(known)
    strange = [key for key in dict.fromkeys(found) if key not in all_known]
    if strange:
        raise Disagreement(f"{path}: has {first_of(strange)}, which {other.name} does not know")


def four_numbers(path: Path, table: Mapping[str, str], keys: Sequence[str]) -> NDArray[np.float32]:
    """The numbers (N, 4) of rows, in the order of `keys`."""
    rows = [table[key].split() for key in keys]
    bad = [key for key, row in zip(keys, rows, strict=True) if len(row) != 4 or not all(map(_is_finite, row))]
    if bad:
        raise Disagreement(f"{path}: {first_of(bad)}: four numbers must follow")
    return np.array(rows, np.float32).reshape(-1, 4)


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """A variable of a MATLAB file as an array with at least one axis, without axes of one element."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, squeeze_me=True, variable_names=[variable])
    except Exception as error:  # scipy raises what it trips over: IndexError, zlib.error, MatReadError, …
        raise Disagreement(f"{path}: cannot be read as a MATLAB file: {error}") from error
    if variable not in found:
        raise Disagreement(f"{path}: holds no variable {variable}")
    return np.atleast_1d(found[variable])


def field(path: Path, rows: NDArray[Any], name: str) -> NDArray[Any]:
    """A field (N,) of a MATLAB structure array."""
    if name not in (rows.dtype.names or ()):
        raise Disagreement(f"{path}: has no field {name}")
    return rows[name]
