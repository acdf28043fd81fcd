"""One HTML page that needs nothing else: the table can be sorted, and the plots are part of it."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from attnbench.tables.render.layout import NOTHING, details, groups, has_groups, sections
from attnbench.tables.render.plots import is_empty, svg
from attnbench.tables.report import Cell, ClaimResult, Heading, Line, Plot, Report

PAGE = Path(__file__).with_name("page.html")
BADGES = {"holds": ("holds", "✓"), "does not hold": ("fails", "✗"), "cannot be told": ("open", "?")}


def render(sheet: Report) -> str:
    """The page. What the cells' fields say is under the pointer, and in the cells at the press of a button."""
    page = Template(PAGE.read_text(encoding="utf-8"))
    detailed = any(details(cell) for line in sheet.lines for cell in line.cells)
    return page.substitute(
        title=escape(sheet.title),
        switches="\n".join(_switches(detailed, any(line.section for line in sheet.lines))),
        table="\n".join(_table(sheet)),
        notes="\n".join(_notes(sheet.notes)),
        claims="\n".join(_claims(sheet.verdicts)),
        plots="\n".join(_plots(sheet.plots)),
        remarks="\n".join(_remarks(sheet)),
    )


def _switches(detailed: bool, sectioned: bool) -> Iterator[str]:
    """What the reader can change about the table."""
    if detailed:
        yield '<label><input type="checkbox" id="show-details"> n, spread and interval in the cells</label>'
    if sectioned:
        yield '<label><input type="checkbox" id="keep-sections" checked> sort within sections</label>'


def _table(sheet: Report) -> Iterator[str]:
    """The table, a body for each section."""
    yield f'<table id="table" aria-label="{escape(sheet.title)}">'
    yield "<thead>"
    if has_groups(sheet.headings):
        yield f"<tr>{''.join(_groups(sheet.headings))}</tr>"
    yield f"<tr>{''.join(map(_heading, sheet.headings))}</tr>"
    yield "</thead>"
    for section, lines in sections(sheet.lines):
        yield "<tbody>"
        if section:
            span = f'<th colspan="{len(sheet.headings)}" scope="rowgroup">{escape(section)}</th>'
            yield f'<tr class="section">{span}</tr>'
        yield from (_row(sheet.headings, line) for line in lines)
        yield "</tbody>"
    yield "</table>"


def _groups(headings: Sequence[Heading]) -> Iterator[str]:
    """Common headings."""
    for group, count in groups(headings):
        span = f'colspan="{count}"'
        yield f'<th {span} scope="colgroup" class="group">{escape(group)}</th>' if group else f"<td {span}></td>"


def _heading(heading: Heading) -> str:
    """A heading that sorts by its column when it is pressed."""
    named = "" if heading.label else f' aria-label="{escape(heading.key)}"'
    button = f'<button type="button"{named}>{escape(heading.label)}</button>'
    return f'<th scope="col" class="{heading.align}" data-key="{escape(heading.key)}" aria-sort="none">{button}</th>'


def _row(headings: Sequence[Heading], line: Line) -> str:
    """A row; its first cell is its heading."""
    cells = [_cell(n, *parts) for n, parts in enumerate(zip(headings, line.cells, strict=True))]
    return f'<tr data-key="{escape(line.key)}" data-section="{escape(line.section)}">{"".join(cells)}</tr>'


def _cell(column: int, heading: Heading, cell: Cell) -> str:
    """A cell: its value, the notes that it refers to, and what its fields say."""
    said = escape(details(cell))
    attributes = [f'class="{" ".join(_classes(heading, cell))}"']
    attributes += [f'data-sort="{cell.sort!r}"'] if cell.sort is not None else []
    attributes += [f'title="{said}"'] if said else []
    marks = ",".join(f'<a href="#note-{mark}">{mark}</a>' for mark in cell.marks)
    inside = f'<span class="value">{escape(cell.text)}</span>' + (f"<sup>{marks}</sup>" if marks else "")
    inside += f'<small class="details">{said}</small>' if said else ""
    tag, scope = ("th", ' scope="row"') if column == 0 else ("td", "")
    return f"<{tag}{scope} {' '.join(attributes)}>{inside}</{tag}>"


def _classes(heading: Heading, cell: Cell) -> Iterator[str]:
    """Classes that the style sheet knows."""
    yield heading.align
    if cell.best:
        yield "best"
    if cell.text in ("", NOTHING):
        yield "empty"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    """Notes, where the marks of cells lead."""
    if notes:
        yield '<ol class="notes">'
        yield from (f'<li id="note-{n}">{escape(note)}</li>' for n, note in enumerate(notes, start=1))
        yield "</ol>"


def _claims(verdicts: Sequence[ClaimResult]) -> Iterator[str]:
    """Claims with what became of them."""
    if verdicts:
        yield '<section><h2>Claims</h2>\n<ul class="claims">'
        for verdict in verdicts:
            name, sign = BADGES[verdict.outcome]
            badge = f'<span class="badge {name}"><span aria-hidden="true">{sign}</span> {verdict.outcome}</span>'
            told = f'<span class="told">{escape(verdict.told)}</span>' if verdict.told else ""
            yield f"<li>{badge}<div>{escape(verdict.says)}{told}</div></li>"
        yield "</ul></section>"


def _plots(plots: Sequence[Plot]) -> Iterator[str]:
    """Plots that show anything."""
    for n, plot in enumerate(plots, start=1):
        if not is_empty(plot):
            yield f"<figure><figcaption>{escape(plot.title)}</figcaption>\n{svg(plot, f'plot{n}')}</figure>"


def _remarks(sheet: Report) -> Iterator[str]:
    """What is said of the whole, and the source."""
    yield from (f"<p>{escape(remark)}</p>" for remark in sheet.remarks)
    if sheet.source:
        yield f"<p>Source: {escape(sheet.source)}</p>"
