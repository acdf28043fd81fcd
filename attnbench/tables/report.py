"""A table ready to be rendered, in whatever format: what `build_report` makes and `render` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from attnbench.tables.results.class_results import ClassResults

from attnbench.tables.forest import Forest

Field = float | int | str | None
Outcome = Literal["supported", "contradicted", "equivalent", "inconclusive", "not trained", "not run"]
Kind = Literal["row", "last", "best", "difference", "printed", "cost", "printed cost", "measured", "guide", "about"]
"""What a column holds. `guide`: the share of a guide in training. `about`: what belongs to the results, as seeds do."""

PICTURE = "What networks of the first seed see in the same test images; the frame is the object's box."
NOTHING = "–"
"""Text of a cell without a value."""


@dataclass(frozen=True)
class Cell:
    """A cell of the table.

    Attributes:
        text: for people; `NOTHING` where there is no value.
        sort: the number to sort by.
        fields: for programs, by name (mean, std, n, low, high, printed, …).
        marks: numbers of the notes that the cell refers to.
        best: whether it is the best cell of its column.
    """

    text: str
    sort: float | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    marks: tuple[int, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Heading:
    """A column's heading. Neighbouring columns of one `group` share a heading above their own.

    Attributes:
        kind: what the column holds.
        shown: whether it is shown unless the user chooses columns; programs (CSV) get all.
    """

    key: str
    label: str
    group: str = ""
    align: Literal["left", "right"] = "right"
    kind: Kind = "last"
    shown: bool = True


@dataclass(frozen=True)
class Line:
    """A row with a cell for each heading, in their order. Rows of one `section` follow each other under its name."""

    key: str
    cells: tuple[Cell, ...]
    section: str = ""


@dataclass(frozen=True)
class PartResult:
    """A part of a claim: a comparison of rows and what the runs say about it.

    Attributes:
        label: the comparison in the rows' labels: `d = 4 (BAM) − d = 1`.
        difference: first minus second, in the column's unit; None without runs.
        low: lower bound of the interval, by the same procedure as p; None, as are `high` and p, with too few seeds.
        high: upper bound of the interval.
        p: adjusted for looks, and for the parts and claims that it is judged with.
        n: seeds, of the row that has fewer.
        printed: the difference of the numbers that the paper prints; None if it prints too few.
        details: what a reader must know beside the numbers, in a few words.
        keys: the cells that the part compares, as `row` or `row@column`.
        spread: how the spread was estimated: `pooled`, `separate`, or `paired`; empty without one.
    """

    label: str
    outcome: Outcome
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    printed: float | None = None
    details: str = ""
    keys: tuple[str, ...] = ()
    spread: str = ""


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper and what the runs say about it.

    Attributes:
        details: the reason for the outcome in a few words.
        source: where the paper says it, and whether its wording was read.
        column: label of the column that the claim is about.
    """

    claim: str
    outcome: Outcome
    details: str
    parts: tuple[PartResult, ...] = ()
    source: str = ""
    column: str = ""


@dataclass(frozen=True)
class Curve:
    """A series of a plot; `low` and `high` bound a band, or the whiskers of points."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plot:
    """A plot. A `curve` joins the points of a series, a `scatter` labels each series at its single point."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    kind: Literal["curve", "scatter"] = "curve"
    log_x: bool = False


@dataclass(frozen=True)
class Report:
    """A table with all that belongs to it.

    Attributes:
        notes: numbered from 1; the marks of cells refer to them.
        remarks: about the whole table.
        per_class: of rows whose runs have predictions for each test image.
        forest: with a line for each of the table's, in their order.
        about_columns: remarks that belong to columns of a kind, and are shown with them.
        pictures: files beside the report's own.
    """

    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    source: str = ""
    claims: tuple[ClaimResult, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    per_class: tuple["ClassResults", ...] = ()
    forest: Forest | None = None
    about_columns: Mapping[Kind, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()

    @property
    def all_remarks(self) -> tuple[str, ...]:
        """Remarks about the whole table, and about those of its columns that are shown."""
        kinds = {heading.kind for heading in self.headings if heading.shown}
        return (*self.remarks, *(text for kind, text in self.about_columns.items() if kind in kinds))
