"""Tables in the terminal, or in a pipe. Plots are on the HTML page alone."""

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from attnbench.console import WIDTH_OF_FILES, make_console, make_table
from attnbench.tables.columns import shown_columns
from attnbench.tables.render.claims import FACTS, facts, known_facts, part_text, reasons, remark_text
from attnbench.tables.render.forest_text import LEAST_WIDTH, MOST_WIDTH, axis, bars
from attnbench.tables.render.layout import marks, number_and_rest, one_line, sections
from attnbench.tables.report import NOTHING, Cell, ClaimResult, Heading, Outcome, PartResult, Report

NAME_WIDTH = 24  # the rows' names are folded to this width before columns move to another table
UNLIMITED = 1_000_000
OUTCOME_WIDTH = 14  # of the column before the claims
STYLES: dict[Outcome, str] = {
    "supported": "green",
    "contradicted": "red",
    "equivalent": "cyan",
    "inconclusive": "yellow",
    "not trained": "magenta",
    "not run": "dim",
}


def render(report: Report) -> str:
    """Render what `show` prints as a file has it: without colours."""
    console = make_console(width=WIDTH_OF_FILES, color_system=None)
    with console.capture() as capture:
        show(console, report)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def show(console: Console, report: Report) -> None:
    """Print a report, on a screen with the table last, so that it is what one sees; in a file with the table first.

    A table that is too wide is split into several, each with the names of the rows.
    """
    report = shown_columns(report)
    console.print(Text(one_line(report.title), style="bold"))
    if console.is_terminal:
        _show_texts(console, report)
    for columns in split_columns(console, report):
        console.print()
        console.print(_table(console, report, columns), crop=False)
    if not console.is_terminal:
        _show_texts(console, report)


def _show_texts(console: Console, report: Report) -> None:
    """Print notes, claims and remarks."""
    _show_list(console, "Notes", [(Text(f"[{n}]"), Text(one_line(note))) for n, note in enumerate(report.notes, 1)])
    wide = _has_room(console, report)
    _show_list(console, "Claims", [_claim(report, result, wide) for result in report.claims])
    console.print()
    for text in (*report.all_remarks, *([f"Source: {report.source}"] if report.source else [])):
        console.print(Text(one_line(text), style="dim"))


def split_columns(console: Console, report: Report) -> list[list[int]]:
    """Return the columns of each table: the first column of the report and as many others as fit."""
    tables: list[list[int]] = [[0]]
    for column in range(1, len(report.headings)):
        wider = _table(console, report, [*tables[-1], column])
        if len(tables[-1]) > 1 and _least_width(console, wider) > console.width:
            tables.append([0])
        tables[-1].append(column)
    return tables


def _least_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update_width(UNLIMITED), table).minimum


def _table(console: Console, report: Report, columns: Sequence[int]) -> Table:
    """Return a table of some columns. Numbers keep their width; rich folds headings and the rows' names."""
    table = make_table()
    table.show_edge = table.pad_edge = False
    cells: list[list[Text]] = []
    for column in columns:
        heading = report.headings[column]
        texts = _aligned(heading, [line.cells[column] for line in report.lines])
        width = max([_longest_word(heading), *(text.cell_len for text in texts)])
        _add_column(table, heading, width, folds=column == columns[0])
        cells.append([_placed(heading, text, width) for text in texts])
        if report.forest is not None and column == columns[0] and 1 in columns:
            bar_width = _bar_width(console, report)
            table.add_column(axis(report.forest, bar_width), width=bar_width, no_wrap=True)
            cells.append(bars(report.forest, bar_width))
    rows = iter(zip(*cells, strict=True))
    for section, lines in sections(report.lines):
        table.add_section()
        if section:
            table.add_row(Text(one_line(section), style="italic"))
        for _ in lines:
            table.add_row(*next(rows))
    if (least := _least_width(console, table)) > console.width:  # of one column: its numbers are printed in full
        table.width = least
    return table


def _bar_width(console: Console, report: Report) -> int:
    """Return the width of a forest plot's bars: what all columns leave of the console, within limits."""
    table = _table(console, replace(report, forest=None), range(len(report.headings)))
    room = console.width - Measurement.get(console, console.options.update_width(UNLIMITED), table).maximum - 2
    return min(max(room, LEAST_WIDTH), MOST_WIDTH)


def _add_column(table: Table, heading: Heading, width: int, folds: bool) -> None:
    title = "\n".join(one_line(part) for part in (heading.group, heading.label) if part)
    if folds:
        table.add_column(Text(title), min_width=min(width, NAME_WIDTH))
    else:
        table.add_column(Text(title, justify=heading.align), width=width)


def _longest_word(heading: Heading) -> int:
    """Return the width of the longest word in a heading, or 1."""
    return max(map(cell_len, f"{heading.group} {heading.label}".split()), default=1)


def _aligned(heading: Heading, cells: Sequence[Cell]) -> list[Text]:
    """Return a column's cells, with spaces after those of numbers so that the numbers align on the right."""
    texts = [Text.assemble((one_line(cell.text), "bold" if cell.best else ""), (_marks(cell), "dim")) for cell in cells]
    if heading.align == "right":
        widths = [
            text.cell_len - cell_len(_number(one_line(cell.text))) for cell, text in zip(cells, texts, strict=True)
        ]
        for text, width in zip(texts, widths, strict=True):
            text.pad_right(max(widths) - width)
    return texts


def _number(text: str) -> str:
    """Return the number that a cell's text starts with; `NOTHING` is aligned like one."""
    parts = number_and_rest(text)
    return parts[0] if parts else NOTHING if text == NOTHING else ""


def _placed(heading: Heading, text: Text, width: int) -> Text:
    """Return text on its side of the column; rich would drop the spaces that align it on the right."""
    if heading.align == "right":
        text.pad_left(width - text.cell_len)
    return text


def _marks(cell: Cell) -> str:
    """Return the numbers of a cell's notes: ` [1,3]`."""
    return f" [{marks(cell)}]" if cell.marks else ""


def _claim(report: Report, result: ClaimResult, wide: bool) -> tuple[Text, Group]:
    """Return a claim's outcome, and the claim with its reason and its parts below it."""
    reason = one_line("; ".join(reasons(report, result)))
    below: list[RenderableType] = [Text(reason, style="dim")] if reason else []
    if wide:
        below += [_grid(report, result)]
    elif len(known_facts(report)) > 1:
        below += [Text(f"· {one_line(part_text(result, part))}") for part in result.parts]
    return Text(result.outcome, style=STYLES[result.outcome]), Group(Text(one_line(result.claim)), *below)


def _grid(report: Report, result: ClaimResult) -> Table:
    """Return a claim's parts below each other, in the columns that all claims of the report share."""
    grid = Table.grid(padding=(0, 3, 0, 0))
    parts = [(other, part) for other in report.claims for part in other.parts]
    rows = [_facts(report, *pair) for pair in parts]
    for place in range(len(rows[0])):
        grid.add_column(no_wrap=True, min_width=max(cell_len(row[place]) for row in rows))
    for (owner, _), row in zip(parts, rows, strict=True):
        if owner is result:
            grid.add_row(*map(Text, row))
    return grid


def _facts(report: Report, result: ClaimResult, part: PartResult) -> list[str]:
    """Return the texts of a part, of which numbers say what they are."""
    texts = facts(part)
    words = {FACTS.index(name): f"{name} " for name in ("p", "n", "paper")}
    known = [f"{words.get(place, '')}{texts[place]}" if texts[place] else "" for place in known_facts(report)]
    return [*map(one_line, known), one_line(remark_text(result, part))]


def _has_room(console: Console, report: Report) -> bool:
    """Return whether the parts of claims have numbers, and fit beside the outcomes in their columns."""
    if len(known_facts(report)) < 2:
        return False
    grid = _grid(report, report.claims[0])
    width = Measurement.get(console, console.options.update_width(UNLIMITED), grid).maximum
    return width + OUTCOME_WIDTH <= console.width


def _show_list(console: Console, title: str, items: Sequence[tuple[Text, RenderableType]]) -> None:
    """Print a list with folded texts beside their labels."""
    if not items:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for item in items:
        grid.add_row(*item)
    console.print()
    console.print(Text(title, style="bold"))
    console.print(grid)
