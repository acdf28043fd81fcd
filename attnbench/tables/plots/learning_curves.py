"""Learning curves: the mean over seeds after each epoch, as error or accuracy, on validation or training images."""

from collections.abc import Iterable, Iterator, Mapping

from attnbench.tables.plots.curves import ByRow, by_name, first_of_same_runs, in_parts
from attnbench.tables.report import Curve, Plot
from attnbench.tables.results.values import Result
from attnbench.tables.spec.table import PaperTable
from attnbench.tables.verdicts.statistics import summarise

MOST_BANDS = 4
"""Bands of more curves than this would hide each other."""


def learning_plots(table: PaperTable, columns: Mapping[str, ByRow]) -> Iterator[Plot]:
    """Yield the learning curves of each set of runs, in the direction of the first column that shows them."""
    firsts = first_of_same_runs(columns)
    for key in firsts:
        results = by_name(table, columns[key])
        is_error = table.columns[key].is_error
        curves = [drawn for label, result in results.items() if (drawn := learning_curve(label, result, is_error))]
        quantity = f"{'error' if is_error else 'accuracy'} on {images(results.values())} images"
        for part, some in in_parts(curves):
            where = f"{table.columns[key].label}: learning curves" if len(firsts) > 1 else "Learning curves"
            spread = ", ± standard deviation" if len(some) <= MOST_BANDS else ""
            title = f"{where}, top-1 {quantity}, mean over seeds{spread}{part}"
            yield Plot(title, "epoch", f"top-1 {quantity} (%)", few_bands(some))


def images(results: Iterable[Result]) -> str:
    """Return which images the curves of some results are of: validation, training, or a mixture of both."""
    held_out = {record.held_out for result in results for record in result.records.values()}
    if len(held_out) > 1:
        return "validation or training"
    return "validation" if True in held_out else "training"


def learning_curve(label: str, result: Result, is_error: bool) -> Curve | None:
    """Return the mean over seeds after each epoch in per cent, with a band of a standard deviation on either side.

    There is no band where an epoch has a single seed, and None where there are fewer than two epochs.
    """
    by_epoch: dict[float, list[float]] = {}
    for record in result.records.values():
        for epoch, accuracy in record.curve:
            by_epoch.setdefault(epoch, []).append(100 * (1 - accuracy if is_error else accuracy))
    if len(by_epoch) < 2:
        return None
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


def few_bands(curves: tuple[Curve, ...]) -> tuple[Curve, ...]:
    """Return the curves, without their bands if there are too many."""
    if len(curves) <= MOST_BANDS:
        return curves
    return tuple(Curve(curve.label, curve.x, curve.y) for curve in curves)
