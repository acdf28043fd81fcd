"""GitHub-flavoured Markdown. Plots are left to the HTML page."""

import re
from collections.abc import Iterator

from attnbench.tables.render.layout import marks, one_line, sections
from attnbench.tables.report import Cell, ClaimResult, Heading, Line, Report

_SPECIAL = re.compile(r"[\\`*|~$#\[\]]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is one in GFM
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BLOCK = re.compile(r"^([-+]|\d+(?=[.)]))")


def render(report: Report) -> str:
    """Render title, table, numbered notes, claims, remarks and source."""
    blocks = [f"### {escape(report.title)}", "\n".join(_table(report))]
    if report.notes:
        blocks += ["Notes:", "\n".join(f"{n}. {_prose(note)}" for n, note in enumerate(report.notes, start=1))]
    if report.claims:
        blocks += ["Claims:", "\n".join(map(_claim, report.claims))]
    blocks += map(_prose, report.remarks)
    if report.source:
        blocks.append(f"Source: {escape(report.source)}")
    return "\n\n".join(blocks) + "\n"


def _claim(result: ClaimResult) -> str:
    details = f" ({escape(result.details)})" if result.details else ""
    return f"- **{result.outcome}**: {escape(result.claim)}{details}"


def escape(text: str) -> str:
    """Return text on one line that Markdown shows literally."""
    plain = "".join(_ENTITIES.get(letter, letter) for letter in one_line(text))
    return _SPECIAL.sub(r"\\\g<0>", plain)


def _prose(text: str) -> str:
    """Return text for the start of a block, where nothing in it begins a list or a heading."""
    return _BLOCK.sub(lambda match: match[0] + "\\" if match[0].isdigit() else "\\" + match[0], escape(text))


def _table(report: Report) -> Iterator[str]:
    """Yield the lines of the table, padded so that the source is readable too."""
    rows = [[_heading(heading) for heading in report.headings], *_rows(report)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(report.headings))]
    right = [heading.align == "right" for heading in report.headings]
    rules = ["-" * (width - 1) + (":" if is_right else "-") for width, is_right in zip(widths, right, strict=True)]
    for row in [rows[0], rules, *rows[1:]]:
        yield "| " + " | ".join(_padded(*cell) for cell in zip(row, widths, right, strict=True)) + " |"


def _padded(text: str, width: int, right: bool) -> str:
    """Return text padded to a width."""
    return text.rjust(width) if right else text.ljust(width)


def _heading(heading: Heading) -> str:
    """Return a column's heading below its group's; Markdown has no cells that span columns."""
    return "<br>".join(escape(text) for text in (heading.group, heading.label) if text)


def _rows(report: Report) -> Iterator[list[str]]:
    """Yield the rows, with each section's name in a separate row before them."""
    for section, lines in sections(report.lines):
        if section:
            yield [f"**{escape(section)}**", *[""] * (len(report.headings) - 1)]
        yield from map(_row, lines)


def _row(line: Line) -> list[str]:
    """Return the cells of a row."""
    return [_cell(cell) for cell in line.cells]


def _cell(cell: Cell) -> str:
    """Return a cell's text, bold if it is the best one, with the numbers of its notes."""
    text = escape(cell.text)
    text = f"**{text}**" if cell.best and text else text
    return text + (f"<sup>{marks(cell)}</sup>" if cell.marks else "")
