"""A table ready to be rendered, in whatever format: what `build_report` makes and `render` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Field = float | int | str | None
Outcome = Literal["supported", "contradicted", "equivalent", "inconclusive", "not trained", "not run"]

Kind = Literal["row", "last", "best", "difference", "printed", "cost", "printed cost", "measured"]

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
    """A comparison that a claim consists of, and what the runs say about it.

    Attributes:
        label: which rows are compared, by their labels: `d = 4 (BAM) − d = 1`.
        difference: first minus second, in the column's unit; None, as are the other numbers, where it is not known.
        low: lower bound of its interval, of the same procedure as the p value.
        high: upper bound.
        p: adjusted for looks and for the table's claims.
        n: seeds of the side with fewer.
        printed: the paper's difference.
        details: in a few words, such as the smallest difference that these seeds would have shown.
        keys: rows that it needs, as `row` or `row@column`.
    """

    label: str
    outcome: Outcome
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    printed: float | None = None
    details: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper and what the runs say about it.

    Attributes:
        details: the reason in a few words.
        source: where the paper says it, and whether its words were seen.
        column: key of the column that it is about.
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
        about_columns: remarks that belong to columns of a kind, and are shown with them.
    """

    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    source: str = ""
    claims: tuple[ClaimResult, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    about_columns: Mapping[Kind, str] = field(default_factory=dict)

    @property
    def all_remarks(self) -> tuple[str, ...]:
        """Remarks about the whole table, and about those of its columns that are shown."""
        kinds = {heading.kind for heading in self.headings if heading.shown}
        return (*self.remarks, *(text for kind, text in self.about_columns.items() if kind in kinds))
