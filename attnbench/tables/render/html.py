"""A self-contained HTML page: the table can be sorted, and the plots are part of the page."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from attnbench.tables.render import forest
from attnbench.tables.render.layout import details, groups, has_groups, one_line, sections
from attnbench.tables.render.per_class import STYLES, per_class
from attnbench.tables.render.plots import is_empty, svg
from attnbench.tables.report import NOTHING, Cell, ClaimResult, Heading, Line, Outcome, Plot, Report

PAGE = Path(__file__).with_name("page.html")
SIGNS: dict[Outcome, str] = {
    "supported": "✓", "contradicted": "✗", "equivalent": "=", "inconclusive": "?", "not trained": "–", "not run": "–"
}  # fmt: skip


def render(report: Report) -> str:
    """Render the page. The fields of a cell are shown under the pointer, or in all cells when the box is ticked."""
    page = Template(PAGE.read_text(encoding="utf-8"))
    detailed = any(details(cell) for line in report.lines for cell in line.cells)
    return page.substitute(
        title=escape(report.title),
        switches="\n".join(_switches(detailed, any(line.section for line in report.lines))),
        table="\n".join(_table(report)),
        notes="\n".join(_notes(report.notes)),
        claims="\n".join(_claims(report.claims)),
        plots="\n".join(_plots(report.plots)),
        per_class=per_class(report.per_class),
        per_class_styles=STYLES if report.per_class else "",
        plots="\n".join([*_forest(report), *_plots(report.plots)]),
        remarks="\n".join(_remarks(report)),
    )


def _switches(detailed: bool, sectioned: bool) -> Iterator[str]:
    """Yield the boxes with which a reader changes the table."""
    if detailed:
        yield '<label><input type="checkbox" id="show-details"> n, spread and interval in the cells</label>'
    if sectioned:
        yield '<label><input type="checkbox" id="keep-sections" checked> sort within sections</label>'


def _table(report: Report) -> Iterator[str]:
    """Yield the lines of the table, with a body for each section."""
    yield f'<table id="table" aria-label="{escape(report.title)}">'
    yield "<thead>"
    if has_groups(report.headings):
        yield f"<tr>{''.join(_groups(report.headings))}</tr>"
    yield f"<tr>{''.join(map(_heading, report.headings))}</tr>"
    yield "</thead>"
    for section, lines in sections(report.lines):
        yield "<tbody>"
        if section:
            span = f'<th colspan="{len(report.headings)}" scope="rowgroup">{escape(section)}</th>'
            yield f'<tr class="section">{span}</tr>'
        yield from (_row(report.headings, line) for line in lines)
        yield "</tbody>"
    yield "</table>"


def _groups(headings: Sequence[Heading]) -> Iterator[str]:
    """Yield the common headings."""
    for group, count in groups(headings):
        span = f'colspan="{count}"'
        yield f'<th {span} scope="colgroup" class="group">{escape(group)}</th>' if group else f"<td {span}></td>"


def _heading(heading: Heading) -> str:
    """Return a heading that sorts by its column when it is pressed."""
    named = "" if heading.label else f' aria-label="{escape(heading.key)}"'
    button = f'<button type="button"{named}>{escape(heading.label)}</button>'
    return f'<th scope="col" class="{heading.align}" data-key="{escape(heading.key)}" aria-sort="none">{button}</th>'


def _row(headings: Sequence[Heading], line: Line) -> str:
    """Return a row, whose first cell is its heading."""
    cells = [_cell(n, *parts) for n, parts in enumerate(zip(headings, line.cells, strict=True))]
    return f'<tr data-key="{escape(line.key)}" data-section="{escape(line.section)}">{"".join(cells)}</tr>'


def _cell(column: int, heading: Heading, cell: Cell) -> str:
    """Return a cell: its value, links to its notes, and the details of its fields."""
    fields = escape(details(cell))
    attributes = [f'class="{" ".join(_classes(heading, cell))}"']
    attributes += [f'data-sort="{cell.sort!r}"'] if cell.sort is not None else []
    attributes += [f'title="{fields}"'] if fields else []
    marks = ",".join(f'<a href="#note-{mark}">{mark}</a>' for mark in cell.marks)
    inside = f'<span class="value">{escape(cell.text)}</span>' + (f"<sup>{marks}</sup>" if marks else "")
    inside += f'<small class="details">{fields}</small>' if fields else ""
    tag, scope = ("th", ' scope="row"') if column == 0 else ("td", "")
    return f"<{tag}{scope} {' '.join(attributes)}>{inside}</{tag}>"


def _classes(heading: Heading, cell: Cell) -> Iterator[str]:
    """Yield the cell's classes of the style sheet."""
    yield heading.align
    if cell.best:
        yield "best"
    if cell.text in ("", NOTHING):
        yield "empty"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    """Yield the notes that the marks of cells link to."""
    if notes:
        yield '<ol class="notes">'
        yield from (f'<li id="note-{n}">{escape(note)}</li>' for n, note in enumerate(notes, start=1))
        yield "</ol>"


def _claims(results: Sequence[ClaimResult]) -> Iterator[str]:
    """Yield the claims with their outcomes."""
    if results:
        yield '<section><h2>Claims</h2>\n<ul class="claims">'
        for result in results:
            sign = f'<span aria-hidden="true">{SIGNS[result.outcome]}</span>'
            badge = f'<span class="badge {result.outcome}">{sign} {result.outcome}</span>'
            reason = f'<span class="reason">{escape(result.details)}</span>' if result.details else ""
            yield f"<li>{badge}<div>{escape(result.claim)}{reason}</div></li>"
        yield "</ul></section>"


def _forest(report: Report) -> Iterator[str]:
    """Yield the forest plot, if the report has one."""
    if report.forest is not None:
        title = escape(one_line(report.forest.axis))
        yield f"<figure><figcaption>{title}</figcaption>\n{forest.svg(report.forest, 'forest')}</figure>"


def _plots(plots: Sequence[Plot]) -> Iterator[str]:
    """Yield the plots that are not empty."""
    for n, plot in enumerate(plots, start=1):
        if not is_empty(plot):
            yield f"<figure><figcaption>{escape(plot.title)}</figcaption>\n{svg(plot, f'plot{n}')}</figure>"


def _remarks(report: Report) -> Iterator[str]:
    """Yield the remarks about the whole table, and the source."""
    yield from (f"<p>{escape(remark)}</p>" for remark in report.remarks)
    if report.source:
        yield f"<p>Source: {escape(report.source)}</p>"
