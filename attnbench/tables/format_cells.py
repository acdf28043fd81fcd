"""Cells of a table's results: means, differences, printed numbers, and which cell of a column is the best."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from attnbench.formatting import MINUS, signed_with_interval
from attnbench.tables.report import NOTHING, Cell
from attnbench.tables.report_inputs import Notes, ReportInputs
from attnbench.tables.results.attention_diagnostics import collapse_note
from attnbench.tables.results.values import Epoch, Key, Result
from attnbench.tables.spec.table import Column, Row, last_place, parse_number
from attnbench.tables.verdicts.anytime import LEVEL, Estimate
from attnbench.tables.verdicts.comparisons import Comparisons
from attnbench.tables.verdicts.statistics import Summary, summarise

SAME = "same"
"""Text of a cell of the best epoch where every seed's is the last one, or as good."""
EPOCH_TITLES: dict[Epoch, str] = {"last": "last epoch", "best": "best epoch"}
UNITS = {
    "error_increase": "times",
    "accuracy_per_million": "points per million",
    "response": "of stage 1",
}
UNEXPECTED = "outside the 95 % prediction interval of our runs for one new run"


@dataclass(frozen=True)
class Difference:
    """A row's difference to its baseline; interval and p are adjusted for looks and for the rows of the column."""

    estimate: Estimate
    interval: tuple[float, float] | None
    p: float | None


def column_title(column: Column) -> str:
    """Return a column's label with its unit."""
    return f"{column.label} ({unit_of(column.metric)})"


def unit_of(metric: str) -> str:
    """Return the unit of a metric."""
    return UNITS.get(metric, "%")


def result_cell(comparisons: Comparisons, notes: Notes, row: Row, column: str, part: str) -> Cell:
    """Build a cell of a column of results. `part` is an epoch (`last`, `best`), `difference` or `printed`."""
    inputs, key = comparisons.inputs, (row.key, column)
    if part == "printed":
        return printed_result_cell(comparisons, notes, row, column)
    if part == "difference":
        return difference_cell(to_baseline(comparisons, key))
    result, untrained = inputs.results[key], comparisons.untrained.get(key, "")
    if result.diverged:
        reason = result.divergence
        return Cell(reason, fields={"n": 0, "reason": reason}, marks=notes.mark(result.unfinished))
    if part == "last":
        return mean_cell(inputs, notes, result, "last", untrained)
    cell = mean_cell(inputs, notes, result, "best", untrained)
    return cell if epochs_differ(result) or not result.values["best"] else replace(cell, text=SAME)


def epochs_differ(result: Result) -> bool:
    """Return whether the best epoch of any seed gives another value than its last one."""
    last = result.values["last"]
    return any(value != last.get(seed) for seed, value in result.values["best"].items())


def mean_cell(inputs: ReportInputs, notes: Notes, result: Result, epoch: Epoch, untrained: str = "") -> Cell:
    """Build the cell of a mean over seeds; where there is none, an empty cell with a note that says why.

    Args:
        inputs: of the report.
        notes: of the report.
        result: of the cell.
        epoch: the last or the best one.
        untrained: why the networks have not learned; empty if they have.
    """
    values, reason = result.values[epoch], result.reasons[epoch]
    summary = summarise(values.values(), method=inputs.method)
    if summary is None:
        reason = result.unfinished if result.unfinished and not result.records else reason
        note = "" if reason == "not run" else reason
        return Cell(NOTHING, fields={"n": 0, "reason": reason}, marks=notes.mark(note))
    marks = [*notes.mark(_note_on_runs(inputs, result, epoch)), *notes.mark(untrained)]
    return summary_cell(summary, values, tuple(marks))


def _note_on_runs(inputs: ReportInputs, result: Result, epoch: Epoch) -> str:
    """Return a note for a cell with fewer seeds than others or than its runs, or whose attention has collapsed."""
    values, reason = result.values[epoch], result.reasons[epoch]
    if reason:
        seeds = f"{len(values)} of {len(result.records)} seeds: {reason}"
    else:
        seeds = format_seed_count(len(values)) if len(values) < inputs.most_seeds else ""
    return "; ".join(text for text in (seeds, result.unfinished, collapse_note(result)) if text)


def format_seed_count(count: int) -> str:
    """Return a number of seeds in words."""
    return "1 seed: no spread" if count == 1 else f"{count} seeds"


def summary_cell(summary: Summary, values: Mapping[int, float], marks: tuple[int, ...]) -> Cell:
    """Build the cell of a mean and its standard deviation."""
    text = f"{summary.mean:.2f}".replace("-", MINUS) + (f" ± {summary.std:.2f}" if summary.std is not None else "")
    fields = {"mean": summary.mean, "std": summary.std, "n": summary.n, "low": summary.low, "high": summary.high}
    seeds = {f"seed{seed}": value for seed, value in values.items()}
    return Cell(text, summary.mean, {**fields, **seeds}, marks)


def to_baseline(comparisons: Comparisons, key: Key) -> Difference | None:
    """Return the difference of a row to its baseline; None if there is none, or no runs of either."""
    row, column = key
    baseline = comparisons.inputs.table.baseline_of(row)
    estimate = comparisons.difference(row, baseline, column) if baseline else None
    if estimate is None:
        return None
    rows = comparisons.compared_with_baselines(column)
    interval, p = estimate.interval(LEVEL / rows), estimate.p()
    return Difference(estimate, interval, None if p is None else min(1.0, rows * p))


def difference_cell(difference: Difference | None) -> Cell:
    """Build the cell of a difference with its interval and p value, which are left out where nothing can be judged."""
    if difference is None:
        return Cell(NOTHING)
    estimate = difference.estimate
    low, high = difference.interval or (None, None)
    fields = {"mean": estimate.value, "low": low, "high": high, "p": difference.p, "spread": estimate.method}
    return Cell(signed_with_interval(estimate.value, difference.interval), estimate.value, fields)


def printed_cell(notes: Notes, row: Row, name: str) -> Cell:
    """Build the cell of a number that the paper prints, for a column or a cost."""
    text = row.printed.get(name)
    if text is None:
        return Cell(NOTHING)
    doubt = "nobody could check this number against the paper" if name in row.unverified else ""
    return Cell(text, parse_number(text), {"": text}, notes.mark(doubt))


def printed_result_cell(comparisons: Comparisons, notes: Notes, row: Row, column: str) -> Cell:
    """Build the cell of a printed result, marked where our prediction interval for one new run leaves it out."""
    cell = printed_cell(notes, row, column)
    if column not in row.printed:
        return cell
    interval = comparisons.prediction(row.key, column)
    if interval is None:
        return cell
    low, high = interval
    number, half = parse_number(row.printed[column]), last_place(row.printed[column]) / 2
    inside = low - half <= number <= high + half
    marks = () if inside else notes.mark(UNEXPECTED)
    fields = {**cell.fields, "predicted low": low, "predicted high": high, "reproduced": str(inside)}
    return Cell(cell.text + ("" if inside else " ≠"), cell.sort, fields, (*cell.marks, *marks))
