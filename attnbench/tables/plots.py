"""The plots of a table: learning curves, accuracy against cost, and a curve over the rows where they have a number."""

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
    "accuracy_per_million": "points a million parameters",
    "response": "response over that of stage 1",
}
MOST_CURVES = 8
"""More cannot be told apart."""


def of(table: PaperTable, results: Mapping[Key, Result]) -> Iterator[Plot]:
    """The plots of a table's results."""
    for column in table.columns.values():
        found = {row: results[row, column.key] for row in table.rows if results[row, column.key].values["last"]}
        if not found:
            continue
        label = AXES[column.metric]
        if any(table.rows[row].x is not None for row in found):
            yield over_rows(table, column, found, label)
        if len({result.records[min(result.records)].costs.multiply_adds for result in found.values()}) > 1:
            yield against_cost(table, column, found, label)
        if curves := learning_curves(table, found):
            few = f", first {MOST_CURVES} of {len(curves)} rows" if len(curves) > MOST_CURVES else ""
            title = f"{column.label}: learning, ± standard deviation{few}"
            yield Plot(title, "epoch", "accuracy (%), validation or training", tuple(curves[:MOST_CURVES]))


def over_rows(table: PaperTable, column: Column, found: Mapping[str, Result], label: str) -> Plot:
    """The means of rows that have an x, with their intervals; a line for the baseline if it has none."""
    points = sorted((x, whole(result)) for row, result in found.items() if (x := table.rows[row].x) is not None)
    curves = [curve(column.label, [x for x, _ in points], [summary for _, summary in points])]
    if table.baseline in found and table.rows[table.baseline].x is None:
        base = whole(found[table.baseline])
        curves.append(curve(table.rows[table.baseline].label, [points[0][0], points[-1][0]], [base, base]))
    return Plot(f"{column.label} over {table.x_label}", table.x_label, label, tuple(curves))


def against_cost(table: PaperTable, column: Column, found: Mapping[str, Result], label: str) -> Plot:
    """Each row at its multiply-adds."""
    points = []
    for row, result in found.items():
        record = result.records[min(result.records)]
        points.append(curve(table.name_of(row), [record.costs.multiply_adds / 1e6], [whole(result)]))
    return Plot(f"{column.label} against cost", "multiply-adds (M)", label, tuple(points), "scatter", log_x=True)


def learning_curves(table: PaperTable, found: Mapping[str, Result]) -> list[Curve]:
    """The mean over seeds after each epoch, within the standard deviation on either side."""
    made = []
    for row, result in found.items():
        by_epoch: dict[float, list[float]] = {}
        for record in result.records.values():
            for epoch, accuracy in record.curve:
                by_epoch.setdefault(epoch, []).append(100 * accuracy)
        if len(by_epoch) > 1:
            summaries = [summary for values in by_epoch.values() if (summary := summarise(values))]
            bands = [
                tuple(max(0.0, min(100.0, one.mean + sign * one.std)) for one in summaries if one.std is not None)
                for sign in (-1, 1)
            ]
            means = tuple(one.mean for one in summaries)
            low, high = bands if len(bands[0]) == len(means) else ((), ())
            made.append(Curve(table.name_of(row), tuple(by_epoch), means, low, high))
    return made


def whole(result: Result) -> Summary:
    """The summary of a result that has values."""
    found = summarise(result.values["last"].values())
    return found or Summary(1, mean(result.values["last"].values()))


def curve(label: str, x: Sequence[float], summaries: Sequence[Summary]) -> Curve:
    """A series of means with bands, where all have one."""
    low, high = [one.low for one in summaries], [one.high for one in summaries]
    banded = all(bound is not None for bound in (*low, *high))
    bands = [tuple(bound for bound in side if bound is not None) if banded else () for side in (low, high)]
    return Curve(label, tuple(x), tuple(one.mean for one in summaries), *bands)
