"""LaTeX: `table` environments that fit a page and compile with pdflatex. Plots are on the HTML page alone."""

from collections.abc import Iterator, Sequence

from attnbench.tables.columns import shown_columns
from attnbench.tables.render.claims import part_text, reasons
from attnbench.tables.render.latex_layout import PAGE_HEIGHT, SEPARATION, Column, Layout, broken, fit, height
from attnbench.tables.render.latex_text import PACKAGES, escape
from attnbench.tables.render.latex_width import text_width, wrap_words
from attnbench.tables.render.layout import groups, has_groups, marks, number_and_rest, sections
from attnbench.tables.report import Cell, ClaimResult, Line, Report

HEAD = rf"% needs \usepackage{{{','.join(PACKAGES)}}} and \usepackage[T1]{{fontenc}}"
NOTES = r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
ITALIC = 1.06
"""Width of italic letters over that of others."""


def render(report: Report) -> str:
    """Render the table in as many parts as fit on a line, with its notes, and claims and remarks as paragraphs."""
    report = shown_columns(report)
    layout = fit(report)
    stacked = height(report, layout) * len(layout.parts) <= PAGE_HEIGHT
    if stacked:
        tables = [_environment(report, layout, layout.parts, "", last=True)]
    else:
        count = len(layout.parts)
        tables = [
            _environment(report, layout, [part], f" (part {n} of {count})", last=n == count)
            for n, part in enumerate(layout.parts, start=1)
        ]
    return "\n".join([HEAD, *tables, *_paragraphs(report)]) + "\n"


def _environment(report: Report, layout: Layout, parts: Sequence[Sequence[Column]], words: str, last: bool) -> str:
    """Return an environment with some parts of the table, the last one with the notes."""
    lines = [r"\begin{table}", rf"\centering\{layout.size}\setlength{{\tabcolsep}}{{{SEPARATION:g}pt}}"]
    lines.append(rf"\caption{{{escape(report.title)}{words}}}")
    for part in parts:
        lines += [r"\par\medskip"] if part is not parts[0] else []
        lines += _tabular(report, layout, part)
    if report.notes and last:
        notes = [rf"\textsuperscript{{{n}}}~{escape(note)}" for n, note in enumerate(report.notes, start=1)]
        lines += [r"\par\smallskip", NOTES, "\\par\n".join(notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"])


def _tabular(report: Report, layout: Layout, part: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of a part of the table."""
    preamble = "".join(_letters(layout, column) for column in part)
    yield rf"\begin{{tabular}}{{@{{}}{preamble}@{{}}}}"
    yield r"\toprule"
    yield from _headings(layout, part)
    for section, rows in sections(report.lines):
        yield r"\midrule"
        if section:
            span = rf"\multicolumn{{{_total(part)}}}{{{_section(layout, part, section)}}}"
            yield rf"{span}{{\textit{{{escape(section)}}}}} \\"
        for row in rows:
            yield _row(part, row)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _letters(layout: Layout, column: Column) -> str:
    """Return a column's specification: text is broken where it is wider than its column."""
    if column.is_text and layout.width_of(column) < layout.scale * column.width:
        return rf">{{\raggedright\arraybackslash}}p{{{layout.width_of(column):.1f}pt}}"
    return "r@{}l" if column.split else column.heading.align[0]


def _section(layout: Layout, part: Sequence[Column], section: str) -> str:
    """Return the specification of a section's name, which is broken where it is wider than the table."""
    total = layout.total(part)
    fits = ITALIC * layout.scale * text_width(section) <= total
    return "@{}l@{}" if fits else rf"@{{}}p{{{total:.1f}pt}}@{{}}"


def _total(columns: Sequence[Column]) -> int:
    """Return the number of LaTeX columns."""
    return sum(column.count for column in columns)


def _headings(layout: Layout, columns: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of the headings, preceded by those of groups and their rules."""
    if has_groups([column.heading for column in columns]):
        yield from _groups(layout, columns)
    yield " & ".join(_heading(layout, column) for column in columns) + r" \\"


def _groups(layout: Layout, columns: Sequence[Column]) -> Iterator[str]:
    """Yield two lines: the headings of groups, and the rules below them."""
    cells, rules, start, first = [], [], 0, 1
    for group, count in groups([column.heading for column in columns]):
        members = columns[start : start + count]
        span = _total(members)
        width = sum(map(broken, members)) + 2 * SEPARATION / layout.scale * (count - 1)
        name = _lines(wrap_words(group, width), "c")
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{name}}}" if group else " & " * (span - 1))
        rules += [rf"\cmidrule(lr){{{first}-{first + span - 1}}}"] if group else []
        start, first = start + count, first + span
    yield " & ".join(cells) + r" \\"
    yield " ".join(rules)


def _heading(layout: Layout, column: Column) -> str:
    """Return a column's heading, in lines that are no wider than its cells where its words allow that."""
    width = layout.width_of(column) / layout.scale
    label = _lines(wrap_words(column.heading.label, width), "c" if column.split else column.heading.align[0])
    return rf"\multicolumn{{2}}{{c}}{{{label}}}" if column.split else label


def _lines(lines: Sequence[str], side: str) -> str:
    """Return text in one or several lines."""
    if len(lines) == 1:
        return escape(lines[0])
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}" + r" \\ ".join(map(escape, lines)) + r"\end{tabular}"


def _row(columns: Sequence[Column], line: Line) -> str:
    """Return the line of a row."""
    return " & ".join(_cell(column, line.cells[column.place]) for column in columns) + r" \\"


def _cell(column: Column, cell: Cell) -> str:
    """Return a cell, or the two of a split column."""
    notes = rf"\textsuperscript{{{marks(cell)}}}" if cell.marks else ""
    parts = number_and_rest(cell.text)
    if not column.split:
        return _emphasised(cell.text, cell.best) + notes
    if parts is None:
        return rf"\multicolumn{{2}}{{c}}{{{_emphasised(cell.text, cell.best)}{notes}}}"
    return f"{_emphasised(parts[0], cell.best)} & {_emphasised(parts[1], cell.best)}{notes}"


def _emphasised(text: str, best: bool) -> str:
    """Return text, bold for the best cell; a space before it is kept."""
    escaped = ("~" if text[:1].isspace() else "") + escape(text)
    return rf"\textbf{{{escaped}}}" if best and text else escaped


def _paragraphs(report: Report) -> Iterator[str]:
    """Yield claims, remarks and source, which may continue on the next page."""
    texts = [text for result in report.claims for text in _claim(report, result)]
    texts += map(escape, report.all_remarks)
    texts += [f"Source: {escape(report.source)}"] if report.source else []
    if texts:
        yield r"{\footnotesize\raggedright\setlength{\parindent}{0pt}"
        yield "\\par\n".join(texts)
        yield r"\par}"


def _claim(report: Report, result: ClaimResult) -> Iterator[str]:
    """Yield a claim, and each of its parts in a line that is indented."""
    reason = f" ({escape(text)})" if (text := "; ".join(reasons(report, result))) else ""
    yield rf"\textit{{{escape(result.outcome)}}}: {escape(result.claim)}{reason}"
    for part in result.parts:
        yield rf"\hangindent=2em\hangafter=0 {escape(part_text(result, part))}"
