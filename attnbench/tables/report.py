"""A table as it is shown, whatever it is shown in: what stands between collecting results and rendering them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Field = float | int | str | None


@dataclass(frozen=True)
class Cell:
    """What stands in a cell.

    text: for people, plain, `–` where there is nothing. sort: what sorting goes by. fields: for programs, by name
    (mean, std, n, low, high, printed, …). mark: the notes that it refers to, by number. best: of its column.
    """

    text: str
    sort: float | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    marks: tuple[int, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Heading:
    """A column's heading. group: a common heading of neighbouring columns. align: of its cells."""

    key: str
    label: str
    group: str = ""
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Line:
    """A row: a cell for each heading, in their order. section: rows of one section stand together, under its name."""

    key: str
    cells: tuple[Cell, ...]
    section: str = ""


@dataclass(frozen=True)
class ClaimResult:
    """What became of a claim. outcome: `holds`, `does not hold` or `cannot be told`. told: in a few words."""

    says: str
    outcome: str
    told: str


@dataclass(frozen=True)
class Curve:
    """A series of a plot; low and high bound a band, or the whiskers of points."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plot:
    """A plot. kind: `curve` joins the points of a series, `scatter` labels each series at its one point."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    kind: Literal["curve", "scatter"] = "curve"
    log_x: bool = False


@dataclass(frozen=True)
class Report:
    """A table with what belongs to it. notes: numbered from 1; a cell's marks refer to them. remarks: of the whole."""

    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    source: str = ""
    verdicts: tuple[ClaimResult, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
