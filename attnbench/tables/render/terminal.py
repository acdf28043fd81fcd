"""Tables in the terminal, or in a pipe. Plots are left to the HTML page."""

from collections.abc import Iterator, Sequence
from itertools import islice
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnbench.console import WIDTH_OF_FILES, make_table
from attnbench.tables.render.layout import NOTHING, groups, has_groups, marks, number_and_rest, one_line, sections
from attnbench.tables.report import Cell, ClaimResult, Heading, Report

NARROW = 24  # a row's name is folded to this width, or to its longest word, before columns move to a second table
BETWEEN = 2  # characters between columns, one beside each
STYLES = {"holds": "green", "does not hold": "red", "cannot be told": "yellow"}


def render(sheet: Report) -> str:
    """What `show` prints, as it stands in a file: without colours."""
    console = Console(width=WIDTH_OF_FILES, highlight=False, color_system=None)
    with console.capture() as capture:
        show(console, sheet)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def show(console: Console, sheet: Report) -> None:
    """Print a sheet. What is too wide is cut into tables, one under another, each with the names of the rows."""
    console.print(Text(one_line(sheet.title), style="bold"))
    texts = [_texts(heading, [line.cells[n] for line in sheet.lines]) for n, heading in enumerate(sheet.headings)]
    widths = [_width(sheet, column, texts[column]) for column in range(len(sheet.headings))]
    widths = _widened(sheet.headings, widths)
    widths[0] = _name_width(sheet, widths, console.width)
    for columns in parts(sheet.headings, widths, console.width):
        _show_table(console, sheet, [(column, widths[column], texts[column]) for column in columns])
    notes = [(Text(f"[{n}]"), Text(one_line(note))) for n, note in enumerate(sheet.notes, start=1)]
    _show_list(console, "Notes", notes)
    _show_verdicts(console, sheet.verdicts)
    console.print()
    for text in (*sheet.remarks, *([f"Source: {sheet.source}"] if sheet.source else [])):
        console.print(Text(one_line(text), style="dim"))


def parts(headings: Sequence[Heading], widths: Sequence[int], available: int) -> list[list[int]]:
    """Columns of each table: the first one and as many as fit, which stay with their group if it fits at all."""
    found: list[list[int]] = [[0]]
    for unit in _units(headings, widths, available):
        if len(found[-1]) > 1 and _total(widths, [*found[-1], *unit]) > available:
            found.append([0])
        found[-1] += unit
    return found


def _units(headings: Sequence[Heading], widths: Sequence[int], available: int) -> Iterator[list[int]]:
    """Columns but the first one, in what stays together: groups that fit into a table, and single columns."""
    start = 1
    for group, count in groups(headings[1:]):
        columns = list(range(start, start + count))
        start += count
        if group and _total(widths, [0, *columns]) <= available:
            yield columns
        else:
            yield from ([column] for column in columns)


def _total(widths: Sequence[int], columns: Sequence[int]) -> int:
    """Width of a table."""
    return sum(widths[column] for column in columns) + BETWEEN * len(columns) - 1


def _width(sheet: Report, column: int, texts: Sequence[Text]) -> int:
    """What a column needs: its cells are never folded; its heading may be, once or at every word."""
    heading = one_line(sheet.headings[column].label)
    words = map(cell_len, heading.split())
    return max(1, (cell_len(heading) + 1) // 2, *words, *(text.cell_len for text in texts))


def _widened(headings: Sequence[Heading], widths: Sequence[int]) -> list[int]:
    """Widths at which the headings of groups stand on one line, long ones at least in whole words."""
    found, start = list(widths), 0
    for group, count in groups(headings):
        span = sum(found[start : start + count]) + BETWEEN * (count - 1)
        word = max(map(cell_len, group.split()), default=0)
        found[start + count - 1] += max(0, (cell_len(group) if cell_len(group) <= NARROW else word) - span)
        start += count
    return found


def _name_width(sheet: Report, widths: Sequence[int], available: int) -> int:
    """Width of the rows' names, which are folded if the table is too wide otherwise."""
    texts = [sheet.headings[0].label, *(line.section for line in sheet.lines)]
    texts += [line.cells[0].text + _marks(line.cells[0]) for line in sheet.lines]
    natural = max(cell_len(one_line(text)) for text in texts)
    word = max((cell_len(word) for text in texts for word in text.split()), default=1)
    left = available - sum(width + BETWEEN for width in widths[1:]) - 1
    folded = min(natural, max(NARROW, word))
    return min(natural, max(left, folded))


def _show_table(console: Console, sheet: Report, columns: Sequence[tuple[int, int, list[Text]]]) -> None:
    """Print a table of some of the columns: their numbers, widths and cells."""
    headings = [sheet.headings[column] for column, _, _ in columns]
    console.print()
    if has_groups(headings):
        for line in group_lines(headings, [width for _, width, _ in columns]):
            console.print(Text(line.rstrip()), soft_wrap=True)
    console.print(_table(sheet, columns), crop=False)


def group_lines(headings: Sequence[Heading], widths: Sequence[int]) -> list[str]:
    """Common headings above a table, each over a rule as wide as its columns."""
    blocks: list[list[str]] = []
    start = 0
    for group, count in groups(headings):
        span = sum(widths[start : start + count]) + BETWEEN * (count - 1)
        blocks.append([*(part.center(span) for part in wrap(group, span)), ("─" if group else " ") * span])
        start += count
    height = max(map(len, blocks))
    full = ([" " * len(block[0])] * (height - len(block)) + block for block in blocks)
    return [(" " * BETWEEN).join(parts) for parts in zip(*full, strict=True)]


def _table(sheet: Report, columns: Sequence[tuple[int, int, list[Text]]]) -> Table:
    """The table in the house style, without its outer margin: `group_lines` has to meet its columns."""
    table = make_table()
    table.show_edge, table.padding = False, (0, 1, 0, 0)
    table.width = _total([width for _, width, _ in columns], range(len(columns)))
    for column, width, _ in columns:
        heading = sheet.headings[column]
        table.add_column(Text(one_line(heading.label), justify=heading.align), width=width)
    rows = zip(*(_placed(sheet.headings[column], width, texts) for column, width, texts in columns), strict=True)
    for section, lines in sections(sheet.lines):
        table.add_section()
        if section:
            table.add_row(Text(one_line(section), style="italic"))
        for row in islice(rows, len(lines)):
            table.add_row(*row)
    return table


def _texts(heading: Heading, cells: Sequence[Cell]) -> list[Text]:
    """A column's cells: numbers, what follows them and the numbers of notes stand below each other."""
    right = heading.align == "right"
    rests = [parts[1] for cell in cells if (parts := number_and_rest(cell.text))]
    rest = max((cell_len(rest) for rest in rests), default=0) if right else 0
    noted = max((len(_marks(cell)) for cell in cells), default=0) if right else 0
    return [_text(cell, rest, noted) for cell in cells]


def _text(cell: Cell, rest: int, noted: int) -> Text:
    """A cell, bold if it is the best one, with room for what follows a number and for the numbers of notes."""
    text = one_line(cell.text)
    parts = number_and_rest(text)
    room = rest - cell_len(parts[1]) if parts else rest * (text == NOTHING)
    marked, after = _marks(cell), noted - len(_marks(cell))
    between, after = (room, after) if parts else (0, room + after)
    return Text.assemble((text, "bold" if cell.best else ""), " " * between, (marked, "dim"), " " * after)


def _placed(heading: Heading, width: int, texts: Sequence[Text]) -> Iterator[Text]:
    """A column's cells on their side; rich itself would drop the room that they leave on the right."""
    for text in texts:
        placed = text.copy()
        if heading.align == "right":
            placed.pad_left(max(0, width - text.cell_len))
        yield placed


def _marks(cell: Cell) -> str:
    """The numbers of a cell's notes: ` [1,3]`."""
    return f" [{marks(cell)}]" if cell.marks else ""


def _show_verdicts(console: Console, verdicts: Sequence[ClaimResult]) -> None:
    """Print claims, what became of them, and why."""
    items = []
    for verdict in verdicts:
        says = Text(one_line(verdict.says))
        told = Text(f"\n{one_line(verdict.told)}" if verdict.told else "", style="dim")
        items.append((Text(verdict.outcome, style=STYLES[verdict.outcome]), says + told))
    _show_list(console, "Claims", items)


def _show_list(console: Console, title: str, items: Sequence[tuple[Text, Text]]) -> None:
    """Print a list whose texts are folded beside what they begin with."""
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
