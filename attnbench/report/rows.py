"""The rows of a report: what tables know of each, in the order of the effect against the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnbench.config.validate import RunConfig
from attnbench.tables.forest import Forest, ForestGroup, ForestLine
from attnbench.tables.plots.learning_curves import learning_curve
from attnbench.tables.report import Cell, Curve, Line, Report
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.class_results import ClassResults
from attnbench.tables.results.values import Result

Interval = tuple[float, float]


@dataclass(frozen=True)
class ReportRow:
    """A row.

    Attributes:
        line: of the table.
        label: the row's name.
        result: its runs and their values.
        mean: cell of the mean over seeds.
        difference: cell of the difference to the baseline; None for the baseline.
        curve: the learning curve; None where there is none.
        classes: the results of each class; None without predictions.
    """

    line: Line
    label: str
    result: Result
    mean: Cell
    difference: Cell | None
    curve: Curve | None
    classes: ClassResults | None

    @property
    def key(self) -> str:
        """The row's key."""
        return self.line.key

    @property
    def config(self) -> RunConfig | None:
        """The configuration of the row's runs."""
        return self.result.cell.config

    @property
    def values(self) -> dict[int, float]:
        """The values of the metric by seed."""
        return dict(self.result.values["last"])

    @property
    def effect(self) -> ForestLine | None:
        """The difference to the baseline; None where there is none."""
        if self.difference is None or self.difference.sort is None:
            return None
        return ForestLine(self.label, self.difference.sort, bounds(self.difference))


def bounds(cell: Cell) -> Interval | None:
    """Return the interval in a cell's fields."""
    low, high = cell.fields.get("low"), cell.fields.get("high")
    return (float(low), float(high)) if isinstance(low, int | float) and isinstance(high, int | float) else None


def rows_of(inputs: ReportInputs, report: Report) -> list[ReportRow]:
    """Return the rows of a table with one column of results, the largest improvement first.

    The baseline stands where its effect, 0, belongs; rows without a value come last.
    """
    ((column, spec),) = inputs.table.columns.items()
    places = {heading.key: place for place, heading in enumerate(report.headings)}
    of_class = {one.title: one for one in report.per_class}
    rows = []
    for line in report.lines:
        result, label = inputs.results[line.key, column], inputs.table.rows[line.key].label
        place = places.get(f"{column}.difference")
        difference = None if place is None or line.key == inputs.table.baseline else line.cells[place]
        mean = line.cells[places[f"{column}.last"]]
        curve = learning_curve(label, result, spec.is_error)
        rows.append(ReportRow(line, label, result, mean, difference, curve, of_class.get(label)))
    return sorted(rows, key=lambda row: _rank(inputs, row))


def _rank(inputs: ReportInputs, row: ReportRow) -> tuple[bool, float]:
    (column,) = inputs.table.columns.values()
    sign = 1 if column.better == "lower" else -1
    effect = (row.effect.mean if row.effect else 0.0) if inputs.table.baseline else row.mean.sort or 0.0
    return not row.values, sign * effect


def forest_of(inputs: ReportInputs, rows: Sequence[ReportRow]) -> Forest | None:
    """Return the plot of the differences to the baseline; None without one."""
    lines = tuple(row.effect for row in rows if row.effect is not None)
    if not lines:
        return None
    (column,) = inputs.table.columns.values()
    baseline = inputs.table.rows[inputs.table.baseline].label
    axis = f"{column.metric.replace('_', ' ')}, difference to {baseline} (percentage points)"
    group = ForestGroup(f"against {baseline}", lines)
    return Forest(inputs.table.title, axis, (group,), "left" if column.better == "lower" else "right")


def sorted_report(inputs: ReportInputs, report: Report, rows: Sequence[ReportRow]) -> Report:
    """Return the table in the order of rows, with the plot of the differences."""
    return replace(report, lines=tuple(row.line for row in rows), forest=forest_of(inputs, rows))
