"""GitHub-flavoured Markdown. Plots are left to the HTML page."""

import re
from collections.abc import Iterator

from attnbench.tables.render.layout import marks, one_line, sections
from attnbench.tables.report import Cell, Heading, Line, Report

_SPECIAL = re.compile(r"[\\`*|~$#\[\]]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is one in GFM
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BLOCK = re.compile(r"^([-+]|\d+(?=[.)]))")


def render(sheet: Report) -> str:
    """Title, table, notes (numbered), claims, remarks and source."""
    blocks = [f"### {escape(sheet.title)}", "\n".join(_table(sheet))]
    if sheet.notes:
        blocks += ["Notes:", "\n".join(f"{n}. {_prose(note)}" for n, note in enumerate(sheet.notes, start=1))]
    if sheet.verdicts:
        told = (
            f"- **{v.outcome}**: {escape(v.says)}" + (f" ({escape(v.told)})" if v.told else "") for v in sheet.verdicts
        )
        blocks += ["Claims:", "\n".join(told)]
    blocks += map(_prose, sheet.remarks)
    if sheet.source:
        blocks.append(f"Source: {escape(sheet.source)}")
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    plain = "".join(_ENTITIES.get(letter, letter) for letter in one_line(text))
    return _SPECIAL.sub(r"\\\g<0>", plain)


def _prose(text: str) -> str:
    """Text that begins a block: a list or a heading in it is none."""
    return _BLOCK.sub(lambda found: found[0] + "\\" if found[0].isdigit() else "\\" + found[0], escape(text))


def _table(sheet: Report) -> Iterator[str]:
    """Lines of the table, padded so that it can be read as it is."""
    rows = [[_heading(heading) for heading in sheet.headings], *_rows(sheet)]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(sheet.headings))]
    right = [heading.align == "right" for heading in sheet.headings]
    rules = ["-" * (width - 1) + (":" if last else "-") for width, last in zip(widths, right, strict=True)]
    for row in [rows[0], rules, *rows[1:]]:
        yield "| " + " | ".join(_padded(*cell) for cell in zip(row, widths, right, strict=True)) + " |"


def _padded(text: str, width: int, right: bool) -> str:
    """Text of a width."""
    return text.rjust(width) if right else text.ljust(width)


def _heading(heading: Heading) -> str:
    """A column's heading under its group's: Markdown has no cells that span columns."""
    return "<br>".join(escape(text) for text in (heading.group, heading.label) if text)


def _rows(sheet: Report) -> Iterator[list[str]]:
    """Rows, each section's name in a row of its own before them."""
    for section, lines in sections(sheet.lines):
        if section:
            yield [f"**{escape(section)}**", *[""] * (len(sheet.headings) - 1)]
        yield from map(_row, lines)


def _row(line: Line) -> list[str]:
    """Cells of a row."""
    return [_cell(cell) for cell in line.cells]


def _cell(cell: Cell) -> str:
    """A cell's text, bold if it is the best one, and the numbers of its notes."""
    text = escape(cell.text)
    text = f"**{text}**" if cell.best and text else text
    return text + (f"<sup>{marks(cell)}</sup>" if cell.marks else "")
