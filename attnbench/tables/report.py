"""A table ready to be rendered, in whatever format: what `build_report` makes and `render` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from attnbench.tables.forest import Forest

Field = float | int | str | None
Outcome = Literal["supported", "contradicted", "inconclusive"]

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
    """A column's heading. Neighbouring columns of one `group` share a heading above their own."""

    key: str
    label: str
    group: str = ""
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Line:
    """A row with a cell for each heading, in their order. Rows of one `section` follow each other under its name."""

    key: str
    cells: tuple[Cell, ...]
    section: str = ""


@dataclass(frozen=True)
class ClaimResult:
    """A claim of the paper and what the runs say about it; `details` gives the reason in a few words."""

    claim: str
    outcome: Outcome
    details: str


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
        forest: with a line for each of the table's, in their order.
    """

    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    source: str = ""
    claims: tuple[ClaimResult, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    forest: Forest | None = None
