"""Cells of a table's results: means, differences, printed numbers, and which cell of a column is the best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean

from attnbench.formatting import signed
from attnbench.tables.report import NOTHING, Cell, Heading, Line
from attnbench.tables.report_inputs import Notes, ReportInputs
from attnbench.tables.spec import Column, Row, parse_number
from attnbench.tables.statistics import Difference, Summary, compare, summarise
from attnbench.tables.values import Epoch, Result

MINUS = "−"
ALPHA = 0.05
SAME = "same"
"""Text of a cell of the best epoch where every seed's is the last one, or as good."""
EPOCH_TITLES: dict[Epoch, str] = {"last": "last epoch", "best": "best epoch"}
UNITS = {
    "error_increase": "times",
    "accuracy_per_million": "points per million",
    "response": "of stage 1",
}


def column_title(column: Column) -> str:
    """Return a column's label with its unit."""
    return f"{column.label} ({unit_of(column.metric)})"


def unit_of(metric: str) -> str:
    """Return the unit of a metric."""
    return UNITS.get(metric, "%")


def result_cell(inputs: ReportInputs, notes: Notes, row: Row, column: str, part: str) -> Cell:
    """Build a cell of a column of results. `part` is an epoch (`last`, `best`), `difference` or `printed`."""
    if part == "printed":
        return printed_cell(notes, row, column)
    if part == "difference":
        return difference_cell(_difference(inputs, row, column))
    result = inputs.results[row.key, column]
    if part == "last":
        return mean_cell(inputs, notes, result, "last")
    cell = mean_cell(inputs, notes, result, "best")
    return cell if epochs_differ(result) or not result.values["best"] else replace(cell, text=SAME)


def epochs_differ(result: Result) -> bool:
    """Return whether the best epoch of any seed gives another value than its last one."""
    last = result.values["last"]
    return any(value != last.get(seed) for seed, value in result.values["best"].items())


def mean_cell(inputs: ReportInputs, notes: Notes, result: Result, epoch: Epoch) -> Cell:
    """Build the cell of a mean over seeds; where there is none, an empty cell with a note that says why."""
    values, reason = result.values[epoch], result.reasons[epoch]
    summary = summarise(values.values(), method=inputs.method)
    if summary is None:
        reason = result.unfinished if result.unfinished and not result.records else reason
        note = "" if reason == "not run" else reason
        return Cell(NOTHING, fields={"n": 0, "reason": reason}, marks=notes.mark(note))
    return summary_cell(summary, values, notes.mark(_missing_seeds(inputs, result, epoch)))


def _missing_seeds(inputs: ReportInputs, result: Result, epoch: Epoch) -> str:
    """Return a note for a cell that has fewer seeds than others, or than its runs; empty if none are missing."""
    values, reason = result.values[epoch], result.reasons[epoch]
    if reason:
        seeds = f"{len(values)} of {len(result.records)} seeds: {reason}"
    else:
        seeds = format_seed_count(len(values)) if len(values) < inputs.most_seeds else ""
    return "; ".join(text for text in (seeds, result.unfinished) if text)


def format_seed_count(count: int) -> str:
    """Return a number of seeds in words."""
    return "1 seed: no spread" if count == 1 else f"{count} seeds"


def summary_cell(summary: Summary, values: Mapping[int, float], marks: tuple[int, ...]) -> Cell:
    """Build the cell of a mean and its standard deviation."""
    text = f"{summary.mean:.2f}".replace("-", MINUS) + (f" ± {summary.std:.2f}" if summary.std is not None else "")
    fields = {"mean": summary.mean, "std": summary.std, "n": summary.n, "low": summary.low, "high": summary.high}
    seeds = {f"seed{seed}": value for seed, value in values.items()}
    return Cell(text, summary.mean, {**fields, **seeds}, marks)


def _difference(inputs: ReportInputs, row: Row, column: str) -> Difference | None:
    baseline = inputs.table.baseline_of(row.key)
    if not baseline:
        return None
    first, second = (inputs.results[key, column].values["last"] for key in (row.key, baseline))
    return compare(first, second, method=inputs.method)


def difference_cell(difference: Difference | None) -> Cell:
    """Build the cell of a difference with its interval and p value, left out where there is no spread to judge by."""
    if difference is None:
        return Cell(NOTHING)
    low, high, p = (None, None, None) if difference.alike else (difference.low, difference.high, difference.p)
    text = signed(difference.mean)
    if low is not None and high is not None:
        text += f" [{signed(low)}, {signed(high)}]"
    fields = {"mean": difference.mean, "low": low, "high": high, "p": p, "paired": str(difference.paired)}
    return Cell(text, difference.mean, fields)


def printed_cell(notes: Notes, row: Row, name: str) -> Cell:
    """Build the cell of a number that the paper prints, for a column or a cost."""
    text = row.printed.get(name)
    if text is None:
        return Cell(NOTHING)
    doubt = "nobody could check this number against the paper" if name in row.unverified else ""
    return Cell(text, parse_number(text), {"": text}, notes.mark(doubt))


def mark_best(inputs: ReportInputs, lines: Sequence[Line], headings: Sequence[Heading]) -> Iterator[Line]:
    """Yield the lines with the best mean of each column of results marked, if it differs from all others."""
    best = [best_rows(inputs, heading) for heading in headings]
    for line in lines:
        cells = (
            replace(cell, best=line.key in rows and cell.text != SAME)
            for cell, rows in zip(line.cells, best, strict=True)
        )
        yield replace(line, cells=tuple(cells))


def best_rows(inputs: ReportInputs, heading: Heading) -> frozenset[str]:
    """Return the row with the best mean of a column, with those that show the same runs.

    Empty unless it is distinguished from every other row: each difference is beyond chance, at 95 %. No correction is
    needed, as all of them must be.
    """
    name, _, part = heading.key.partition(".")
    columns = inputs.table.columns
    if name not in columns or part not in EPOCH_TITLES or columns[name].metric == "response":
        return frozenset()
    epoch: Epoch = "best" if part == "best" else "last"
    by_row = {row: values for row in inputs.table.rows if (values := inputs.results[row, name].values[epoch])}
    means = {row: mean(values.values()) for row, values in by_row.items()}
    if not means:
        return frozenset()
    first = (min if columns[name].better == "lower" else max)(means, key=means.__getitem__)
    same = frozenset(row for row, values in by_row.items() if values == by_row[first])
    others = [values for row, values in by_row.items() if row not in same]
    distinguished = others and all(beyond_chance(compare(by_row[first], values)) for values in others)
    return same if distinguished else frozenset()


def beyond_chance(difference: Difference | None) -> bool:
    """Return whether a difference is unlikely to be one of chance, at 95 %."""
    return difference is not None and difference.p is not None and not difference.alike and difference.p < ALPHA
