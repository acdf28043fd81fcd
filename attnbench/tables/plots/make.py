"""Plots of a table: results over the rows' or columns' numbers where they have some, against cost, learning curves."""

import re
from collections.abc import Iterator, Mapping, Sequence

from attnbench.config.schema import flatten
from attnbench.tables.plots.curves import AXES, ByRow, by_name, curve, first_of_same_runs, in_parts
from attnbench.tables.plots.learning_curves import learning_plots
from attnbench.tables.report import Plot
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.table import Column, PaperTable

SPREAD = "mean and 95 % interval"
WIDE = 20.0
"""Values of x whose largest is this many times the smallest are drawn on a logarithmic axis."""
FEWEST = 3
"""Points of a curve over columns."""


def make_plots(table: PaperTable, results: Mapping[Key, Result]) -> Iterator[Plot]:
    """Yield the plots that the results have data for: over rows, over columns, against cost, learning curves."""
    columns = {
        column: by_row
        for column in table.columns
        if (by_row := {row: results[row, column] for row in table.rows if results[row, column].values["last"]})
    }
    for key, by_row in columns.items():
        if any(table.rows[row].x is not None for row in by_row):
            yield over_rows(table, table.columns[key], by_row)
    yield from over_columns(table, columns)
    for key in first_of_same_runs(columns):
        if len({multiply_adds(result) for result in columns[key].values()}) > 1:
            yield from against_cost(table, table.columns[key], columns[key])
    yield from learning_plots(table, columns)


def multiply_adds(result: Result) -> float:
    """Return the multiply-adds of a cell's network, in millions."""
    return result.records[min(result.records)].costs.multiply_adds / 1e6


def is_wide(values: Sequence[float], ratio: float = WIDE) -> bool:
    """Return whether the values of x need a logarithmic axis, on which 0 has a place."""
    positive = [value for value in values if value > 0]
    return min(values) >= 0 and bool(positive) and max(positive) >= ratio * min(positive)


def over_rows(table: PaperTable, column: Column, by_row: ByRow) -> Plot:
    """Plot the means of rows that have an x, and a line for a baseline without an x.

    Rows of one label are one curve if there are several at an x; otherwise all rows are one.
    """
    placed = {row: x for row in by_row if (x := table.rows[row].x) is not None}
    several = len(set(placed.values())) < len(placed)
    curves = []
    for label in dict.fromkeys(table.rows[row].label if several else column.label for row in placed):
        rows = sorted((row for row in placed if not several or table.rows[row].label == label), key=placed.__getitem__)
        curves.append(curve(label, [placed[row] for row in rows], [by_row[row] for row in rows]))
    ends = [min(placed.values()), max(placed.values())]
    if table.baseline in by_row and table.baseline not in placed:
        curves.append(curve(table.rows[table.baseline].label, ends, [by_row[table.baseline]] * 2))
    title = f"{capital(column.label)} over {table.x_label}, {SPREAD}"
    return Plot(title, table.x_label, AXES[column.metric], tuple(curves), log_x=is_wide(list(placed.values())))


def over_columns(table: PaperTable, columns: Mapping[str, ByRow]) -> Iterator[Plot]:
    """Yield a plot for each metric whose columns differ in one number: distractors of the test, say, or the stage."""
    by_metric: dict[tuple[str, str], list[str]] = {}
    for key in columns:
        by_metric.setdefault((table.columns[key].metric, table.columns[key].split), []).append(key)
    for (metric, _), keys in by_metric.items():
        name, places = column_numbers([table.columns[key] for key in keys], columns)
        if len(places) < FEWEST:
            continue
        order = sorted(places, key=places.__getitem__)
        rows = [row for row in table.rows if all(row in columns[key] for key in order)]
        x = [places[key] for key in order]
        curves = [curve(table.name_of(row), x, [columns[key][row] for key in order]) for row in rows]
        for part, some in in_parts(curves):
            title = f"{capital(AXES[metric].partition(' (')[0])} over {name}, {SPREAD}{part}"
            yield Plot(title, name, AXES[metric], some, log_x=is_wide(x))


def column_numbers(columns: Sequence[Column], results: Mapping[str, ByRow]) -> tuple[str, dict[str, float]]:
    """Return the number in which columns differ, in words, and its value in each; no values if there is no such number.

    A column whose overrides do not have the key gets the value of its runs.
    """
    if stages := {column.key: float(found[0]) for column in columns if (found := re.findall(r"\d+$", column.stage))}:
        return "stage", stages
    settings = {column.key: dict(split(line) for line in (*column.overrides, *column.evaluate)) for column in columns}
    keys = dict.fromkeys(key for values in settings.values() for key in values)
    different = [key for key in keys if len({values.get(key) for values in settings.values()}) > 1]
    if len(different) != 1:
        return "", {}
    (key,) = different
    values = {column: settings[column].get(key, configured(results[column], key)) for column in settings}
    numbers = {column: float(value) for column, value in values.items() if is_number(value)}
    return key.rpartition(".")[2].replace("_", " "), numbers if len(numbers) == len(values) else {}


def split(line: str) -> tuple[str, str]:
    """Return the key and the value of an override."""
    key, _, value = line.partition("=")
    return key, value


def configured(by_row: ByRow, key: str) -> str:
    """Return the value that a key has in the runs of a column, empty if it differs between rows."""
    configs = [result.cell.config for result in by_row.values()]
    values = {str(flatten(config.values).get(key, "")) for config in configs if config}
    return values.pop() if len(values) == 1 else ""


def is_number(text: str) -> bool:
    """Return whether a value is a plain number."""
    return re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text) is not None


def against_cost(table: PaperTable, column: Column, by_row: ByRow) -> Iterator[Plot]:
    """Yield plots of each network at its multiply-adds."""
    points = [curve(name, [multiply_adds(result)], [result]) for name, result in by_name(table, by_row).items()]
    for part, some in in_parts(points):
        title = f"{capital(column.label)} against cost, {SPREAD}{part}"
        log = is_wide([point.x[0] for point in some], 3.0)
        yield Plot(title, "multiply-adds (M)", AXES[column.metric], some, "scatter", log_x=log)


def capital(text: str) -> str:
    """Return text with its first letter as a capital."""
    return text[:1].upper() + text[1:]
