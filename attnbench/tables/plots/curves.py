"""Series of plots: means over seeds with their intervals, and the results that several rows or columns share."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

from attnbench.tables.report import Curve
from attnbench.tables.results.values import Result
from attnbench.tables.spec.table import DETECTION, EXPLAINED, PaperTable
from attnbench.tables.verdicts.statistics import Summary, summarise

AXES = {
    "top1_error": "top-1 error (%)",
    "top5_error": "top-5 error (%)",
    "top1_accuracy": "top-1 accuracy (%)",
    "top5_accuracy": "top-5 accuracy (%)",
    **{metric: f"{metric.replace('_', ' ').replace('map', 'mAP')} (%)" for metric in DETECTION},
    "error_increase": "increase of the error (times)",
    "accuracy_per_million": "points per million parameters",
    "response": "response over that of stage 1",
    **{metric: f"{metric.replace('_', ' ')} (%)" for metric in EXPLAINED},
}
INFINITE = float("inf")
POSSIBLE = {
    "error_increase": (-1.0, INFINITE),
    "accuracy_per_million": (-INFINITE, INFINITE),
    "response": (0.0, INFINITE),
}
"""The least and the greatest value that a metric can have, where these are not 0 and 100."""
MOST_CURVES = 8
"""Readers cannot distinguish more in one plot."""
ByRow = Mapping[str, Result]
"""The results of a column, by row."""


def summary_of(result: Result) -> Summary:
    """Return the summary of a result that has values."""
    values = result.values["last"].values()
    return summarise(values) or Summary(1, mean(values))


def curve(label: str, x: Sequence[float], results: Sequence[Result]) -> Curve:
    """Return a series of means, with a band where every mean has an interval, as far as its values are possible."""
    summaries = [summary_of(result) for result in results]
    least, greatest = POSSIBLE.get(results[0].cell.column.metric, (0.0, 100.0))
    low, high = ([getattr(one, side) for one in summaries] for side in ("low", "high"))
    banded = all(bound is not None for bound in (*low, *high))
    bands = [tuple(max(least, min(greatest, bound)) for bound in side) if banded else () for side in (low, high)]
    return Curve(label, tuple(x), tuple(one.mean for one in summaries), *bands)


def runs_of(result: Result) -> tuple[str, ...]:
    """Return what identifies the runs of a cell."""
    return tuple(sorted(f"{record.identity}/{record.seed}" for record in result.records.values()))


def first_of_same_runs(columns: Mapping[str, ByRow]) -> list[str]:
    """Return the first of all columns that show the same runs, under other settings or by another metric."""
    firsts: dict[object, str] = {}
    for key, by_row in columns.items():
        firsts.setdefault(tuple(map(runs_of, by_row.values())), key)
    return list(firsts.values())


def by_name(table: PaperTable, by_row: ByRow) -> dict[str, Result]:
    """Return the results of a column by their rows' labels; rows that show the same runs share one: `d = 4 / r = 16`.

    Only the first label of equal ones is kept.
    """
    names: dict[tuple[str, ...], list[str]] = {}
    results: dict[tuple[str, ...], Result] = {}
    for row, result in by_row.items():
        names.setdefault(runs_of(result), []).append(table.name_of(row))
        results.setdefault(runs_of(result), result)
    return {" / ".join(dict.fromkeys(names[runs])): result for runs, result in results.items()}


def in_parts(curves: Sequence[Curve]) -> Iterator[tuple[str, tuple[Curve, ...]]]:
    """Yield at most `MOST_CURVES` curves at a time, with words for a title: `, part 1 of 2`; none for a single part."""
    count = -(-len(curves) // MOST_CURVES)
    for number in range(count):
        start, end = (len(curves) * place // count for place in (number, number + 1))
        yield (f", part {number + 1} of {count}" if count > 1 else ""), tuple(curves[start:end])
