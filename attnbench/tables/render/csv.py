"""Comma-separated values for programs (RFC 4180): nothing is rounded, and what is not known is empty."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from attnbench.tables.render.layout import NOTHING
from attnbench.tables.report import Cell, Field, Heading, Line, Report


def render(sheet: Report) -> str:
    """A line per row of the sheet, with CRLF ends: files are opened with `newline=""`.

    A column of the sheet becomes one for each of its cells' fields, `<key>.<field>`. What has no name of its own, and
    text that stands in a cell without fields, is in the column `<key>`. The first columns hold the row's own key and,
    where there are any, its section.
    """
    named = _names(sheet)
    columns = [_fields([line.cells[n] for line in sheet.lines]) for n in range(len(sheet.headings))]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*named, *_titles(sheet.headings, columns)])
    for line in sheet.lines:
        writer.writerow([*_name(line, named), *_values(line, columns)])
    return text.getvalue()


def _names(sheet: Report) -> list[str]:
    """Columns that say which row it is, less those that the sheet has itself."""
    wanted = ["key", "section"] if any(line.section for line in sheet.lines) else ["key"]
    return [name for name in wanted if name not in {heading.key for heading in sheet.headings}]


def _name(line: Line, named: Sequence[str]) -> list[str]:
    """A row's key and section."""
    return [{"key": line.key, "section": line.section}[name] for name in named]


def _fields(cells: Sequence[Cell]) -> list[str]:
    """Fields of a column's cells in the order in which they are met, `""` for text of cells without any."""
    fields = list(dict.fromkeys(name for cell in cells for name in _content(cell)))
    return fields or [""]


def _content(cell: Cell) -> Mapping[str, Field]:
    """A cell's fields; where it has none, its text as one without a name."""
    if cell.fields or cell.text in ("", NOTHING):
        return cell.fields
    return {"": cell.text}


def _titles(headings: Sequence[Heading], columns: Sequence[Sequence[str]]) -> list[str]:
    """Names of columns."""
    pairs = zip(headings, columns, strict=True)
    return [f"{heading.key}.{field}" if field else heading.key for heading, fields in pairs for field in fields]


def _values(line: Line, columns: Sequence[Sequence[str]]) -> list[Field]:
    """Values of a row's cells."""
    return [_content(cell).get(field) for cell, fields in zip(line.cells, columns, strict=True) for field in fields]
