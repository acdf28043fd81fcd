"""Helpers that several formats share: groups and sections, numbers to align, and the details of a cell."""

import re
from collections.abc import Sequence
from itertools import groupby

from attnbench.formatting import MINUS
from attnbench.plain_text import plain
from attnbench.tables.report import Cell, Field, Heading, Line

NO_BREAK = "\u00a0"

_NUMBER = re.compile(r"([+−-]?[\d.,]*\d)(.*)", re.DOTALL)


def groups(headings: Sequence[Heading]) -> list[tuple[str, int]]:
    """Return the common headings from left to right, `""` for none, each with the number of columns under it."""
    return [(group, len(list(columns))) for group, columns in groupby(headings, lambda heading: heading.group)]


def has_groups(headings: Sequence[Heading]) -> bool:
    """Return whether any column is under a common heading."""
    return any(heading.group for heading in headings)


def sections(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """Return the sections from top to bottom with their rows, `""` for rows without a section."""
    return [(section, list(rows)) for section, rows in groupby(lines, lambda line: line.section)]


def number_and_rest(text: str) -> tuple[str, str] | None:
    """Split text after the number that it starts with: `("21.49", " ± 0.12")`; None if it starts with none."""
    match = _NUMBER.fullmatch(text)
    return (match[1], match[2]) if match else None


def one_line(text: str) -> str:
    """Return the text with every run of white space replaced by one space, and control characters escaped."""
    return plain(" ".join(text.split()))


def marks(cell: Cell) -> str:
    """Return the numbers of a cell's notes: `1,3`."""
    return ",".join(map(str, cell.marks))


def details(cell: Cell) -> str:
    """Return a cell's fields as text: `mean 21.3 · std 0.12 · n 5 · interval 21.1 to 21.5`; only prose breaks."""
    fields = {name: quantity(value) for name, value in cell.fields.items() if value is not None and value != ""}
    if "low" in fields and "high" in fields:
        fields["interval"] = NO_BREAK.join((fields.pop("low"), "to", fields.pop("high")))
    return " · ".join(f"{name}{NO_BREAK}{value}".strip(NO_BREAK) for name, value in fields.items())


def quantity(value: Field) -> str:
    """Return a number as text: integers in full, others with four digits."""
    if isinstance(value, str) or value is None:
        return value or ""
    text = f"{value:.4g}" if isinstance(value, float) and abs(value) < 1e4 else f"{value:,.0f}"
    return text.replace("-", MINUS)
