"""LaTeX: a `table` that compiles with pdflatex and booktabs. Plots are left to the HTML page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from attnbench.tables.render.latex_text import escape
from attnbench.tables.render.layout import groups, has_groups, marks, number_and_rest, sections
from attnbench.tables.report import Cell, Heading, Line, Report

LONG = 16  # characters of a heading on one line
HEAD = "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}, in a file in UTF-8"


@dataclass(frozen=True)
class Column:
    """A column. split: its numbers and what follows them (`± 0.12`) are two columns, so that the numbers align."""

    heading: Heading
    split: bool

    @property
    def count(self) -> int:
        """Columns that it takes in the file."""
        return 2 if self.split else 1

    @property
    def letters(self) -> str:
        """What stands for it in the preamble of `tabular`."""
        return "r@{}l" if self.split else self.heading.align[0]


def render(sheet: Report) -> str:
    """The environment, with the title as its caption and what belongs to the table below it."""
    columns = [_column(sheet, n) for n in range(len(sheet.headings))]
    preamble = "".join(column.letters for column in columns)
    lines = [HEAD, r"\begin{table}", r"\centering", rf"\caption{{{escape(sheet.title)}}}"]
    lines += [rf"\begin{{tabular}}{{{preamble}}}", r"\toprule", *_headings(columns)]
    for section, rows in sections(sheet.lines):
        lines.append(r"\midrule")
        if section:
            lines.append(rf"\multicolumn{{{_total(columns)}}}{{l}}{{\textit{{{escape(section)}}}}} \\")
        lines += [_row(columns, row) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", *_below(sheet), r"\end{table}"]
    return "\n".join(lines) + "\n"


def _column(sheet: Report, n: int) -> Column:
    """A column of the sheet, split if what follows its numbers is of several lengths."""
    rests = {len(parts[1]) for line in sheet.lines if (parts := number_and_rest(line.cells[n].text))}
    split = sheet.headings[n].align == "right" and len(rests) > 1
    return Column(sheet.headings[n], split)


def _total(columns: Sequence[Column]) -> int:
    """Columns in the file."""
    return sum(column.count for column in columns)


def _headings(columns: Sequence[Column]) -> Iterator[str]:
    """Lines of the headings, with those of groups and their rules above."""
    headings = [column.heading for column in columns]
    if has_groups(headings):
        yield from _groups(columns)
    yield " & ".join(_heading(column) for column in columns) + r" \\"


def _groups(columns: Sequence[Column]) -> Iterator[str]:
    """Two lines: headings of groups, and the rules below them."""
    cells, rules, start, first = [], [], 0, 1
    for group, count in groups([column.heading for column in columns]):
        span = _total(columns[start : start + count])
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(group)}}}" if group else " & " * (span - 1))
        rules += [rf"\cmidrule(lr){{{first}-{first + span - 1}}}"] if group else []
        start, first = start + count, first + span
    yield " & ".join(cells) + r" \\"
    yield " ".join(rules)


def _heading(column: Column) -> str:
    """A column's heading; a long one is broken into lines of about half its length."""
    label = escape(column.heading.label)
    if len(column.heading.label) > LONG:
        lines = wrap(column.heading.label, len(column.heading.label) // 2 + 2, break_long_words=False)
        side = "c" if column.split else column.heading.align[0]
        label = rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}" + r" \\ ".join(map(escape, lines)) + r"\end{tabular}"
    return rf"\multicolumn{{2}}{{c}}{{{label}}}" if column.split else label


def _row(columns: Sequence[Column], line: Line) -> str:
    """A row."""
    cells = (_cell(column, cell) for column, cell in zip(columns, line.cells, strict=True))
    return " & ".join(cells) + r" \\"


def _cell(column: Column, cell: Cell) -> str:
    """A cell, or the two of a split column; the numbers of its notes take no room, so that numbers align."""
    notes = rf"\textsuperscript{{{marks(cell)}}}" if cell.marks else ""
    notes = rf"\rlap{{{notes}}}" if notes and column.heading.align == "right" else notes
    parts = number_and_rest(cell.text)
    if not column.split:
        return _emphasised(cell.text, cell.best) + notes
    if parts is None:
        return rf"\multicolumn{{2}}{{c}}{{{_emphasised(cell.text, cell.best)}{notes}}}"
    return f"{_emphasised(parts[0], cell.best)} & {_emphasised(parts[1], cell.best)}{notes}"


def _emphasised(text: str, best: bool) -> str:
    """Text, bold if it is of the best cell; a space before it stays."""
    escaped = ("~" if text[:1].isspace() else "") + escape(text)
    return rf"\textbf{{{escaped}}}" if best and text else escaped


def _below(sheet: Report) -> Iterator[str]:
    """What belongs to the table: notes, claims, remarks, source."""
    texts = [rf"\textsuperscript{{{n}}}~{escape(note)}" for n, note in enumerate(sheet.notes, start=1)]
    for verdict in sheet.verdicts:
        told = f" ({escape(verdict.told)})" if verdict.told else ""
        texts.append(rf"\textit{{{escape(verdict.outcome)}}}: {escape(verdict.says)}{told}")
    texts += map(escape, sheet.remarks)
    texts += [f"Source: {escape(sheet.source)}"] if sheet.source else []
    if texts:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield "\\par\n".join(texts)
        yield r"\end{minipage}"
