"""Comma-separated values for programs (RFC 4180): nothing is rounded, and what is not known is empty."""

import csv
from collections.abc import Sequence
from io import StringIO

from attnbench.papers.render.layout import NOTHING
from attnbench.papers.sheet import Cell, Field, Heading, Line, Sheet


def render(sheet: Sheet) -> str:
    """A line per row of the sheet, with CRLF ends: files are opened with `newline=""`.

    A column of the sheet becomes one for each of its cells' fields, `<key>.<field>`. Text that stands in a cell without
    fields is in the column `<key>`. The first columns name the row and, where there are any, its section.
    """
    named = _names(sheet)
    columns = [_columns(heading, [line.cells[n] for line in sheet.lines]) for n, heading in enumerate(sheet.headings)]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*named, *(_title(key, field) for key, fields in columns for field in fields)])
    for line in sheet.lines:
        writer.writerow([*_name(line, named), *_values(line, [fields for _, fields in columns])])
    return text.getvalue()


def _names(sheet: Sheet) -> list[str]:
    """Columns that say which row it is, less those that the sheet has itself."""
    wanted = ["row", "section"] if any(line.section for line in sheet.lines) else ["row"]
    return [name for name in wanted if name not in {heading.key for heading in sheet.headings}]


def _name(line: Line, named: Sequence[str]) -> list[str]:
    """A row's key and section."""
    return [{"row": line.key, "section": line.section}[name] for name in named]


def _columns(heading: Heading, cells: Sequence[Cell]) -> tuple[str, list[str | None]]:
    """Fields of a column's cells in the order in which they are met; None stands for the text of cells without."""
    fields: list[str | None] = list(dict.fromkeys(name for cell in cells for name in cell.fields))
    texts = any(not cell.fields and cell.text not in ("", NOTHING) for cell in cells)
    return heading.key, [None, *fields] if texts or not fields else fields


def _title(key: str, field: str | None) -> str:
    """A column's name."""
    return key if field is None else f"{key}.{field}"


def _values(line: Line, columns: Sequence[Sequence[str | None]]) -> list[Field]:
    """Values of a row's cells."""
    return [_value(cell, field) for cell, fields in zip(line.cells, columns, strict=True) for field in fields]


def _value(cell: Cell, field: str | None) -> Field:
    """A field, or the text of a cell that has none."""
    if field is not None:
        return cell.fields.get(field)
    return cell.text if not cell.fields and cell.text != NOTHING else None
