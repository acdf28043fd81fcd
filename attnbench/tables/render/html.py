"""A self-contained HTML page, except for pictures beside it: the table can be sorted, plots are part of the page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from attnbench.tables.render import forest
from attnbench.tables.render.html_claims import claims
from attnbench.tables.render.layout import details, groups, has_groups, number_and_rest, one_line, sections
from attnbench.tables.render.page import TABLE_SCRIPT, TABLE_STYLES, make_page
from attnbench.tables.render.per_class import STYLES, per_class
from attnbench.tables.render.plots import is_empty, svg
from attnbench.tables.report import NOTHING, PICTURE, Cell, Heading, Kind, Line, Plot, Report

KIND_NAMES: dict[Kind, str] = {
    "best": "best epoch",
    "cost": "costs",
    "printed cost": "the paper's costs",
    "guide": "the guide's shares",
    "measured": "speed, memory, time",
}
"""Names of columns that may be hidden: those that are not shown by default, and those that a narrow page leaves out."""


@dataclass(frozen=True)
class Additions:
    """What a larger page adds to the page of a table.

    Attributes:
        graphics: SVG elements that are shown in cells, by the keys of row and heading.
        details: HTML that belongs to a row and is below it, hidden at first, by the row's key.
        styles: style sheets.
        scripts: run after the table's.
    """

    graphics: Mapping[tuple[str, str], str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    styles: tuple[Path, ...] = ()
    scripts: tuple[Path, ...] = ()


def render(report: Report, additions: Additions = Additions()) -> str:
    """Render the page.

    The fields of a cell are shown under the pointer, or in all cells when the box is ticked. A script leaves out the
    columns that a narrow page has no room for, costs before results, and names them.
    """
    styles = [TABLE_STYLES, *([STYLES] if report.per_class else []), *additions.styles]
    content, footer = "\n".join(_content(report, additions)), "\n".join(_remarks(report))
    return make_page(report.title, content, styles, [TABLE_SCRIPT, *additions.scripts], footer)


def _content(report: Report, additions: Additions) -> Iterator[str]:
    """Yield the parts of the page from top to bottom."""
    detailed = any(details(cell) for line in report.lines for cell in line.cells)
    yield '<div class="switches">'
    yield "\n".join(_switches(report, detailed))
    yield '</div>\n<div class="scroll" tabindex="0" role="region" aria-label="Table">'
    yield "\n".join(_table(report, additions))
    yield "</div>"
    yield "\n".join(_notes(report.notes))
    yield "\n".join(claims(report))
    plots = "\n".join([*_pictures(report.pictures), *_forest(report), *_plots(report.plots)])
    yield f'<div class="plots">{plots}</div>{per_class(report.per_class)}'


def _switches(report: Report, detailed: bool) -> Iterator[str]:
    """Yield the boxes with which a reader changes the table."""
    if detailed:
        yield '<label><input type="checkbox" id="show-details"> n, spread and interval in the cells</label>'
    if any(line.section for line in report.lines):
        yield '<label><input type="checkbox" id="keep-sections" checked> sort within sections</label>'
    if kinds := dict.fromkeys(heading.kind for heading in report.headings if heading.kind in KIND_NAMES):
        left_out = {heading.kind for heading in report.headings if not heading.shown}
        names = escape(json.dumps({_slug(kind): KIND_NAMES[kind] for kind in kinds}))
        shown = "; ".join(KIND_NAMES[kind] for kind in kinds if kind in left_out)
        label = f'also show: <span data-names="{names}">{escape(shown)}</span>'
        yield f'<label{"" if left_out else " hidden"}><input type="checkbox" id="show-all"> {label}</label>'


def _table(report: Report, additions: Additions) -> Iterator[str]:
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
            span = f'<th colspan="{len(report.headings)}" scope="rowgroup"><span>{escape(section)}</span></th>'
            yield f'<tr class="section">{span}</tr>'
        for line in lines:
            yield from _row(report.headings, line, additions)
        yield "</tbody>"
    yield "</table>"


def _groups(headings: Sequence[Heading]) -> Iterator[str]:
    """Yield the common headings, which span the columns that are shown."""
    start = 0
    for group, count in groups(headings):
        shown = sum(heading.shown for heading in headings[start : start + count])
        span = f'colspan="{max(1, shown)}" data-count="{count}"' + ("" if shown else " hidden")
        yield f'<th {span} scope="colgroup" class="group">{escape(group)}</th>' if group else f"<td {span}></td>"
        start += count


def _heading(heading: Heading) -> str:
    """Return a heading that sorts by its column when it is pressed."""
    named = "" if heading.label else f' aria-label="{escape(heading.key)}"'
    button = f'<button type="button"{named}>{escape(heading.label)}</button>'
    attributes = f'data-key="{escape(heading.key)}" data-kind="{_slug(heading.kind)}" aria-sort="none"'
    extra = "" if heading.shown else " data-extra hidden"
    return f'<th scope="col" class="{heading.align}" {attributes}{extra}>{button}</th>'


def _slug(kind: Kind) -> str:
    return kind.replace(" ", "-")


def _row(headings: Sequence[Heading], line: Line, additions: Additions) -> Iterator[str]:
    """Yield a row, whose first cell is its heading, and the row with its details."""
    cells = [
        _cell(n, heading, cell, additions.graphics.get((line.key, heading.key), ""))
        for n, (heading, cell) in enumerate(zip(headings, line.cells, strict=True))
    ]
    yield f'<tr data-key="{escape(line.key)}" data-section="{escape(line.section)}">{"".join(cells)}</tr>'
    if line.key in additions.details:
        yield f'<tr class="opened" hidden><td colspan="{len(headings)}">{additions.details[line.key]}</td></tr>'


def _cell(column: int, heading: Heading, cell: Cell, graphic: str) -> str:
    """Return a cell: its value or its graphic, links to its notes, and the details of its fields."""
    fields = escape(details(cell))
    attributes = [f'class="{" ".join(_classes(heading, cell))}"']
    attributes += [f'data-sort="{cell.sort!r}"'] if cell.sort is not None else []
    attributes += [f'title="{fields}"'] if fields else []
    marks = ",".join(f'<a href="#note-{mark}">{mark}</a>' for mark in cell.marks)
    inside = f'<span class="value">{graphic or _value(cell.text)}</span>' + (f"<sup>{marks}</sup>" if marks else "")
    inside += f'<small class="details">{fields}</small>' if fields else ""
    attributes += [] if heading.shown else ["hidden"]
    tag, scope = ("th", ' scope="row"') if column == 0 else ("td", "")
    return f"<{tag}{scope} {' '.join(attributes)}>{inside}</{tag}>"


def _value(text: str) -> str:
    """Return a cell's text; what follows its number (`± 0.12`) goes below it where the page is narrow.

    An interval (`[−0.3, +0.1]`) also goes on two lines where that is not enough.
    """
    parts = number_and_rest(text)
    if parts is None or not parts[1].startswith((" ±", " [")):
        return escape(text)
    kind = "rest range" if parts[1].startswith(" [") else "rest"
    return f'{escape(parts[0])}<span class="{kind}">{escape(parts[1])}</span>'


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


def _pictures(names: Sequence[str]) -> Iterator[str]:
    """Yield the pictures that lie beside the page."""
    for name in names:
        picture = (
            f'<a href="{escape(name)}"><img src="{escape(name)}" alt="{escape(PICTURE)}" style="max-width:100%"></a>'
        )
        yield f"<figure><figcaption>{escape(PICTURE)}</figcaption>\n{picture}</figure>"


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
    yield from (f"<p>{escape(remark)}</p>" for remark in (*report.remarks, *report.about_columns.values()))
    if report.source:
        yield f"<p>Source: {escape(report.source)}</p>"
