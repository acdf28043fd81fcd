"""GitHub-flavoured Markdown. Plots are left to the HTML page; pictures are files beside it."""

import re
from collections.abc import Iterator, Sequence

from attnbench.tables.columns import shown_columns
from attnbench.tables.render.claims import TITLES, facts, known_facts, reasons, remark_text
from attnbench.tables.render.layout import marks, one_line, sections
from attnbench.tables.report import PICTURE, Cell, Heading, Line, Report

_SPECIAL = re.compile(r"[\\`*|~$#\[\]]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word is one in GFM
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BLOCK = re.compile(r"^([-+]|\d+(?=[.)]))")


def render(report: Report) -> str:
    """Render title, table, numbered notes, claims, remarks and source."""
    report = shown_columns(report)
    blocks = [f"### {escape(report.title)}", "\n".join(_table(report))]
    if report.notes:
        blocks += ["Notes:", "\n".join(f"{n}. {_prose(note)}" for n, note in enumerate(report.notes, start=1))]
    if report.claims:
        titles = ["outcome", "claim", *(TITLES[place] for place in known_facts(report)[1:])]
        right = [False, False, *[True] * (len(titles) - 2)]
        blocks += ["Claims:", "\n".join(_aligned([titles, *_claims(report)], right))]
    blocks += [f"![{PICTURE}]({name})" for name in report.pictures]
    blocks += map(_prose, report.all_remarks)
    if report.source:
        blocks.append(f"Source: {escape(report.source)}")
    return "\n\n".join(blocks) + "\n"


def _claims(report: Report) -> Iterator[list[str]]:
    """Yield the rows of a table of claims: each claim with its reason and source, then its parts."""
    places = known_facts(report)[1:]
    for result in report.claims:
        reason = f" ({escape(text)})" if (text := "; ".join(reasons(report, result))) else ""
        yield [_bold(result.outcome), f"{_bold(escape(result.claim))}{reason}", *[""] * len(places)]
        for part in result.parts if places else ():
            remark = f" ({escape(text)})" if (text := remark_text(result, part)) else ""
            yield ["", escape(part.label) + remark, *(escape(facts(part)[place]) for place in places)]


def escape(text: str) -> str:
    """Return text on one line that Markdown shows literally."""
    plain = "".join(_ENTITIES.get(letter, letter) for letter in one_line(text))
    return _SPECIAL.sub(r"\\\g<0>", plain)


def _prose(text: str) -> str:
    """Return text for the start of a block, where nothing in it begins a list or a heading."""
    return _BLOCK.sub(lambda match: match[0] + "\\" if match[0].isdigit() else "\\" + match[0], escape(text))


def _table(report: Report) -> Iterator[str]:
    """Return the lines of the table, padded so that the source is readable too."""
    rows = [[_heading(heading) for heading in report.headings], *_rows(report)]
    return _aligned(rows, [heading.align == "right" for heading in report.headings])


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a table whose first row holds the headings."""
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
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
            yield [_bold(escape(section)), *[""] * (len(report.headings) - 1)]
        yield from map(_row, lines)


def _row(line: Line) -> list[str]:
    """Return the cells of a row."""
    return [_cell(cell) for cell in line.cells]


def _cell(cell: Cell) -> str:
    """Return a cell's text, bold if it is the best one, with the numbers of its notes."""
    text = _bold(escape(cell.text)) if cell.best else escape(cell.text)
    return text + (f"<sup>{marks(cell)}</sup>" if cell.marks else "")


def _bold(text: str) -> str:
    """Return text in bold; Markdown would show the signs of bold around nothing."""
    return f"**{text}**" if text else ""
