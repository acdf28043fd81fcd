"""Plots of a table: learning curves, results against cost, and results over the rows' number where they have one."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

from attnbench.tables.report import Curve, Plot
from attnbench.tables.spec import Column, PaperTable
from attnbench.tables.statistics import Summary, summarise
from attnbench.tables.values import Key, Result

AXES = {
    "top1_error": "top-1 error (%)",
    "top5_error": "top-5 error (%)",
    "top1_accuracy": "top-1 accuracy (%)",
    "top5_accuracy": "top-5 accuracy (%)",
    "error_increase": "increase of the error (times)",
    "accuracy_per_million": "points per million parameters",
    "response": "response over that of stage 1",
}
MOST_CURVES = 8
"""Readers cannot distinguish more in one plot."""


def make_plots(table: PaperTable, results: Mapping[Key, Result]) -> Iterator[Plot]:
    """Yield, for each column, the plots that it has data for: over the rows, against cost, learning curves."""
    for column in table.columns.values():
        by_row = {row: results[row, column.key] for row in table.rows if results[row, column.key].values["last"]}
        if not by_row:
            continue
        label = AXES[column.metric]
        if any(table.rows[row].x is not None for row in by_row):
            yield over_rows(table, column, by_row, label)
        if len({multiply_adds(result) for result in by_row.values()}) > 1:
            yield against_cost(table, column, by_row, label)
        if curves := learning_curves(table, by_row):
            few = f", first {MOST_CURVES} of {len(curves)} rows" if len(curves) > MOST_CURVES else ""
            title = f"{column.label}: learning, ± standard deviation{few}"
            yield Plot(title, "epoch", "accuracy (%), validation or training", tuple(curves[:MOST_CURVES]))


def multiply_adds(result: Result) -> float:
    """Return the multiply-adds of a cell's network."""
    return result.records[min(result.records)].costs.multiply_adds


def over_rows(table: PaperTable, column: Column, by_row: Mapping[str, Result], label: str) -> Plot:
    """Plot the means of rows that have an x, with their intervals, and a line for a baseline without an x."""
    points = sorted((x, summary_of(result)) for row, result in by_row.items() if (x := table.rows[row].x) is not None)
    curves = [curve(column.label, [x for x, _ in points], [summary for _, summary in points])]
    if table.baseline in by_row and table.rows[table.baseline].x is None:
        base = summary_of(by_row[table.baseline])
        curves.append(curve(table.rows[table.baseline].label, [points[0][0], points[-1][0]], [base, base]))
    return Plot(f"{column.label} over {table.x_label}", table.x_label, label, tuple(curves))


def against_cost(table: PaperTable, column: Column, by_row: Mapping[str, Result], label: str) -> Plot:
    """Plot each row at its multiply-adds."""
    points = [
        curve(table.name_of(row), [multiply_adds(result) / 1e6], [summary_of(result)]) for row, result in by_row.items()
    ]
    return Plot(f"{column.label} against cost", "multiply-adds (M)", label, tuple(points), "scatter", log_x=True)


def learning_curves(table: PaperTable, by_row: Mapping[str, Result]) -> list[Curve]:
    """Return each row's mean accuracy after each epoch, with a band of one standard deviation on either side."""
    curves = []
    for row, result in by_row.items():
        by_epoch: dict[float, list[float]] = {}
        for record in result.records.values():
            for epoch, accuracy in record.curve:
                by_epoch.setdefault(epoch, []).append(100 * accuracy)
        if len(by_epoch) > 1:
            curves.append(learning_curve(table.name_of(row), by_epoch))
    return curves


def learning_curve(label: str, by_epoch: Mapping[float, Sequence[float]]) -> Curve:
    """Return the curve of the mean over seeds; without a band where an epoch has a single seed."""
    summaries = [summary for values in by_epoch.values() if (summary := summarise(values))]
    means = tuple(summary.mean for summary in summaries)
    stds = [summary.std for summary in summaries if summary.std is not None]
    if len(stds) < len(means):
        return Curve(label, tuple(by_epoch), means)
    low, high = (
        tuple(max(0.0, min(100.0, center + sign * std)) for center, std in zip(means, stds, strict=True))
        for sign in (-1, 1)
    )
    return Curve(label, tuple(by_epoch), means, low, high)


def summary_of(result: Result) -> Summary:
    """Return the summary of a result that has values."""
    values = result.values["last"].values()
    return summarise(values) or Summary(1, mean(values))


def curve(label: str, x: Sequence[float], summaries: Sequence[Summary]) -> Curve:
    """Return a series of means, with a band of their intervals where every mean has one."""
    low, high = [one.low for one in summaries], [one.high for one in summaries]
    banded = all(bound is not None for bound in (*low, *high))
    bands = [tuple(bound for bound in side if bound is not None) if banded else () for side in (low, high)]
    return Curve(label, tuple(x), tuple(one.mean for one in summaries), *bands)
