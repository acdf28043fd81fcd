"""LaTeX: a `table` environment that compiles with pdflatex. Plots are on the HTML page alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from attnbench.tables.render.latex_text import PACKAGES, escape
from attnbench.tables.render.layout import groups, has_groups, marks, number_and_rest, sections
from attnbench.tables.report import Cell, ClaimResult, Heading, Line, Report

LONG = 16  # characters of a heading on one line
HEAD = rf"% needs \usepackage{{{','.join(PACKAGES)}}} and \usepackage[T1]{{fontenc}}"


@dataclass(frozen=True)
class Column:
    """A column. If `split`, its numbers and what follows them (`± 0.12`) are two columns, so that the numbers align."""

    heading: Heading
    split: bool

    @property
    def count(self) -> int:
        """Number of LaTeX columns."""
        return 2 if self.split else 1

    @property
    def letters(self) -> str:
        """Column specification in the preamble of `tabular`."""
        return "r@{}l" if self.split else self.heading.align[0]


def render(report: Report) -> str:
    """Render the environment: the title as its caption, the table, and notes, claims, remarks and source below it."""
    columns = [_column(report, n) for n in range(len(report.headings))]
    preamble = "".join(column.letters for column in columns)
    lines = [HEAD, r"\begin{table}", r"\centering", rf"\caption{{{escape(report.title)}}}"]
    lines += [rf"\begin{{tabular}}{{{preamble}}}", r"\toprule", *_headings(columns)]
    for section, rows in sections(report.lines):
        lines.append(r"\midrule")
        if section:
            lines.append(rf"\multicolumn{{{_total(columns)}}}{{l}}{{\textit{{{escape(section)}}}}} \\")
        lines += [_row(columns, row) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", *_below(report), r"\end{table}"]
    return "\n".join(lines) + "\n"


def _column(report: Report, n: int) -> Column:
    """Return a column of the report, split if the texts after its numbers differ in length."""
    rests = {len(parts[1]) for line in report.lines if (parts := number_and_rest(line.cells[n].text))}
    split = report.headings[n].align == "right" and len(rests) > 1
    return Column(report.headings[n], split)


def _total(columns: Sequence[Column]) -> int:
    """Return the number of LaTeX columns."""
    return sum(column.count for column in columns)


def _headings(columns: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of the headings, preceded by those of groups and their rules."""
    headings = [column.heading for column in columns]
    if has_groups(headings):
        yield from _groups(columns)
    yield " & ".join(_heading(column) for column in columns) + r" \\"


def _groups(columns: Sequence[Column]) -> Iterator[str]:
    """Yield two lines: the headings of groups, and the rules below them."""
    cells, rules, start, first = [], [], 0, 1
    for group, count in groups([column.heading for column in columns]):
        span = _total(columns[start : start + count])
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(group)}}}" if group else " & " * (span - 1))
        rules += [rf"\cmidrule(lr){{{first}-{first + span - 1}}}"] if group else []
        start, first = start + count, first + span
    yield " & ".join(cells) + r" \\"
    yield " ".join(rules)


def _heading(column: Column) -> str:
    """Return a column's heading; a long one is broken into lines of about half its length."""
    label = escape(column.heading.label)
    if len(column.heading.label) > LONG:
        lines = wrap(column.heading.label, len(column.heading.label) // 2 + 2, break_long_words=False)
        side = "c" if column.split else column.heading.align[0]
        label = rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}" + r" \\ ".join(map(escape, lines)) + r"\end{tabular}"
    return rf"\multicolumn{{2}}{{c}}{{{label}}}" if column.split else label


def _row(columns: Sequence[Column], line: Line) -> str:
    """Return the line of a row."""
    cells = (_cell(column, cell) for column, cell in zip(columns, line.cells, strict=True))
    return " & ".join(cells) + r" \\"


def _cell(column: Column, cell: Cell) -> str:
    """Return a cell, or the two of a split column; the marks of its notes have no width, so that numbers align."""
    notes = rf"\textsuperscript{{{marks(cell)}}}" if cell.marks else ""
    notes = rf"\rlap{{{notes}}}" if notes and column.heading.align == "right" else notes
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


def _below(report: Report) -> Iterator[str]:
    """Yield the lines below the table: notes, claims, remarks, source."""
    texts = [rf"\textsuperscript{{{n}}}~{escape(note)}" for n, note in enumerate(report.notes, start=1)]
    texts += map(_claim, report.claims)
    texts += map(escape, report.remarks)
    texts += [f"Source: {escape(report.source)}"] if report.source else []
    if texts:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield "\\par\n".join(texts)
        yield r"\end{minipage}"


def _claim(result: ClaimResult) -> str:
    details = f" ({escape(result.details)})" if result.details else ""
    return rf"\textit{{{escape(result.outcome)}}}: {escape(result.claim)}{details}"
