"""How a table fits a page of LaTeX: the size of its letters, the width of its text columns, and which columns share
a part of it. All widths are in points."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from attnbench.tables.render.latex_width import SUPERSCRIPT, longest_word, text_width, wrap_words
from attnbench.tables.render.layout import marks, number_and_rest
from attnbench.tables.report import Cell, Heading, Report

LINE = 345.0
"""A line of the class `article` at 10 pt, which has the narrowest of the usual ones."""
PAGE_HEIGHT = 520.0
SIZES = {"small": 0.926, "footnotesize": 0.852}
"""Commands for smaller letters, and their width over that at 10 pt."""
SEPARATION = 3.0
"""On either side of a column, `\\tabcolsep`."""
LEAST_LABEL, TEXT = 65.0, 80.0
"""Widths to which the rows' names and other text are broken, unless a word is longer."""


@dataclass(frozen=True)
class Column:
    """A column of the report.

    Attributes:
        place: in the report.
        split: whether its numbers and what follows them (`± 0.12`) are two columns, so that the numbers align.
        width: at 10 pt, without breaking its text.
        least: at 10 pt, of its longest word if it is text.
    """

    place: int
    heading: Heading
    split: bool
    width: float
    least: float

    @property
    def count(self) -> int:
        """Number of LaTeX columns."""
        return 2 if self.split else 1

    @property
    def is_text(self) -> bool:
        """Whether its cells may be broken into lines."""
        return self.heading.align == "left"


@dataclass(frozen=True)
class Layout:
    """A table that fits.

    Attributes:
        size: of the letters, one of `SIZES`.
        label: width of the rows' names.
        parts: columns of each part, the rows' names first.
    """

    size: str
    label: float
    parts: tuple[tuple[Column, ...], ...]

    @property
    def scale(self) -> float:
        """Width of letters over that at 10 pt."""
        return SIZES[self.size]

    def width_of(self, column: Column) -> float:
        """Return the width of a column."""
        return self.label if column.place == 0 else self.scale * broken(column)

    def total(self, part: Sequence[Column]) -> float:
        """Return the width of a part."""
        others = sum(self.scale * width + 2 * SEPARATION for width in _group_widths(part[1:], self.scale))
        return self.label + others


def measure(report: Report, place: int) -> Column:
    """Return a column of a report with its widths. It is split if the texts after its numbers differ."""
    heading, cells = report.headings[place], [line.cells[place] for line in report.lines]
    rests = {(parts[1], marks(cell)) for cell in cells if (parts := number_and_rest(cell.text))}
    split = heading.align == "right" and len(rests) > 1
    word = max(longest_word(heading.label), longest_word(heading.group) if place == 0 else 0.0)
    if not split:
        width = max([word, *map(cell_width, cells)])
        return Column(place, heading, False, width, max([word, *map(_longest_in, cells)]))
    pairs = [widths for cell in cells if (widths := _parts(cell))]
    whole = [cell_width(cell) for cell in cells if not number_and_rest(cell.text)]
    width = max([word, max(number for number, _ in pairs) + max(rest for _, rest in pairs), *whole])
    return Column(place, heading, True, width, width)


def cell_width(cell: Cell) -> float:
    """Return the width of a cell with the marks of its notes."""
    return text_width(cell.text, cell.best) + SUPERSCRIPT * text_width(marks(cell))


def _longest_in(cell: Cell) -> float:
    return longest_word(cell.text) * cell_width(cell) / max(1.0, text_width(cell.text))


def _parts(cell: Cell) -> tuple[float, float] | None:
    """Return the widths of a cell's number and of what follows it, with marks."""
    parts = number_and_rest(cell.text)
    if parts is None:
        return None
    return text_width(parts[0], cell.best), cell_width(cell) - text_width(parts[0], cell.best)


def broken(column: Column) -> float:
    """Return the width at 10 pt of a column other than the first, whose text is broken if it is long."""
    return min(column.width, max(TEXT, column.least)) if column.is_text else column.width


def fit(report: Report) -> Layout:
    """Return the layout with the largest letters and the fewest parts in which every part fits on a line."""
    first, *others = (measure(report, place) for place in range(len(report.headings)))
    least = max(first.least, min(first.width, LEAST_LABEL))
    for size, scale in SIZES.items():
        layout = Layout(size, scale * least, ((first, *others),))
        spare = LINE - layout.total(layout.parts[0])
        if spare >= 0:
            return Layout(size, min(scale * first.width, scale * least + spare), layout.parts)
    label = scale * min(first.width, max(least, 1.5 * LEAST_LABEL))
    parts = tuple((first, *part) for part in _parts_of_width(others, scale, LINE - label))
    return Layout(size, label, parts)


def _group_widths(columns: Sequence[Column], scale: float) -> Iterator[float]:
    """Yield widths at 10 pt of columns, to the last of a group added what its heading's longest word needs more."""
    for group, members in groupby(columns, lambda column: column.heading.group):
        widths = [broken(column) for column in members]
        inner = sum(widths) + 2 * SEPARATION / scale * (len(widths) - 1)
        widths[-1] += max(0.0, longest_word(group) - inner)
        yield from widths


def _parts_of_width(columns: Sequence[Column], scale: float, room: float) -> Iterator[list[Column]]:
    """Yield the columns that share a part: whole groups, unless a group is wider than the room."""
    part: list[Column] = []
    for _, members in groupby(columns, lambda column: column.heading.group):
        group = list(members)
        if part and _needs([*part, *group], scale) > room:
            yield part
            part = []
        for column in group:
            if part and _needs([*part, column], scale) > room:
                yield part
                part = []
            part.append(column)
    if part:
        yield part


def _needs(columns: Sequence[Column], scale: float) -> float:
    return sum(scale * width + 2 * SEPARATION for width in _group_widths(columns, scale))


def height(report: Report, layout: Layout) -> float:
    """Return about how high a part of the table is, without its caption and notes."""
    labels = [len(wrap_words(line.cells[0].text, layout.label / layout.scale)) for line in report.lines]
    sections = len({line.section for line in report.lines if line.section})
    return 12 * layout.scale * (5 + sum(labels) + 1.5 * sections)
