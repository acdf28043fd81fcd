"""Comma-separated values for programs (RFC 4180): nothing is rounded, and missing values are empty."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from attnbench.tables.report import NOTHING, Cell, Field, Heading, Line, Report


def render(report: Report) -> str:
    """Render the table with one line per row and CRLF ends, so files are opened with `newline=""`.

    A column of the report becomes one column per field of its cells, `<key>.<field>`. A field without a name, and the
    text of a cell without fields, are in the column `<key>`. The first columns hold the row's key and, where there are
    any, its section.
    """
    row_columns = _row_columns(report)
    columns = [_fields([line.cells[n] for line in report.lines]) for n in range(len(report.headings))]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*row_columns, *_titles(report.headings, columns)])
    for line in report.lines:
        writer.writerow([*_row_values(line, row_columns), *_values(line, columns)])
    return text.getvalue()


def _row_columns(report: Report) -> list[str]:
    """Return the columns that identify a row, without those that are columns of the report already."""
    wanted = ["key", "section"] if any(line.section for line in report.lines) else ["key"]
    return [name for name in wanted if name not in {heading.key for heading in report.headings}]


def _row_values(line: Line, names: Sequence[str]) -> list[str]:
    """Return a row's key and section."""
    return [{"key": line.key, "section": line.section}[name] for name in names]


def _fields(cells: Sequence[Cell]) -> list[str]:
    """Return the fields of a column's cells in the order of their first use, `""` for the text of cells without any."""
    fields = list(dict.fromkeys(name for cell in cells for name in _content(cell)))
    return fields or [""]


def _content(cell: Cell) -> Mapping[str, Field]:
    """Return a cell's fields; where it has none, its text as a field without a name."""
    if cell.fields or cell.text in ("", NOTHING):
        return cell.fields
    return {"": cell.text}


def _titles(headings: Sequence[Heading], columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of the columns."""
    pairs = zip(headings, columns, strict=True)
    return [f"{heading.key}.{field}" if field else heading.key for heading, fields in pairs for field in fields]


def _values(line: Line, columns: Sequence[Sequence[str]]) -> list[Field]:
    """Return the values of a row's cells."""
    return [_content(cell).get(field) for cell, fields in zip(line.cells, columns, strict=True) for field in fields]
