"""What all formats share: neighbours that belong together, and what is said of a cell."""

import re
from collections.abc import Sequence
from itertools import groupby

from attnbench.tables.report import Cell, Field, Heading, Line

NOTHING = "–"
"""What stands in a cell without a value."""
NO_BREAK = "\u00a0"


_NUMBER = re.compile(r"([+−-]?[\d.,]*\d)(.*)", re.DOTALL)


def groups(headings: Sequence[Heading]) -> list[tuple[str, int]]:
    """Common headings from left to right, `""` where there is none, and the number of columns under each."""
    return [(group, len(list(columns))) for group, columns in groupby(headings, lambda heading: heading.group)]


def has_groups(headings: Sequence[Heading]) -> bool:
    """Whether any column stands under a common heading."""
    return any(heading.group for heading in headings)


def sections(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """Sections from top to bottom, `""` for rows without one."""
    return [(section, list(rows)) for section, rows in groupby(lines, lambda line: line.section)]


def number_and_rest(text: str) -> tuple[str, str] | None:
    """A number and what follows it: `("21.49", " ± 0.12")`, by which a column can be aligned; None if there is none."""
    match = _NUMBER.fullmatch(text)
    return (match[1], match[2]) if match else None


def one_line(text: str) -> str:
    """Text with every run of white space as one space."""
    return " ".join(text.split())


def marks(cell: Cell) -> str:
    """The numbers of a cell's notes: `1,3`."""
    return ",".join(map(str, cell.marks))


def details(cell: Cell) -> str:
    """A cell's fields in a few words: `mean 21.3 · std 0.12 · n 5 · interval 21.1 to 21.5`; each stays on a line."""
    fields = {name: quantity(value) for name, value in cell.fields.items() if value is not None and value != ""}
    if "low" in fields and "high" in fields:
        fields["interval"] = f"{fields.pop('low')} to {fields.pop('high')}"
    return " · ".join(f"{name} {value}".strip().replace(" ", NO_BREAK) for name, value in fields.items())


def quantity(value: Field) -> str:
    """A number as people read it: whole ones in full, others with four digits."""
    if isinstance(value, str) or value is None:
        return value or ""
    text = f"{value:.4g}" if isinstance(value, float) and abs(value) < 1e4 else f"{value:,.0f}"
    return text.replace("-", "−")
