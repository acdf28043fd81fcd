"""Cells of a table's costs: what a network has, as counted and as printed, and what its training took, as measured."""

from collections.abc import Sequence

from attnbench.formatting import duration
from attnbench.tables.format_cells import printed_cell
from attnbench.tables.report import NOTHING, Cell
from attnbench.tables.report_inputs import Notes, ReportInputs
from attnbench.tables.results.costs import format_cost
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import mean_of
from attnbench.tables.spec.table import COSTS, Row

COST_TITLES = {"parameters": "parameters", "multiply_adds": "multiply-adds"}
MEASUREMENTS = {
    "images_per_second": ("img/s", 1.0),
    "milliseconds_per_step": ("ms/step", 1.0),
    "peak_memory_bytes": ("MiB", 1 / 2**20),
    "wall_seconds": ("time", 1.0),
    "energy_joules": ("kJ", 1e-3),
}
"""Title of a measured quantity, and the factor to the unit that it is shown in."""
CLOSE = "within one unit of the last printed place, which rounding or a sum of rounded numbers makes up"


def cost_cell(inputs: ReportInputs, notes: Notes, row: Row, key: str, part: str) -> Cell:
    """Build the cell of a cost. `part` is `ours` or `printed`."""
    if part == "printed":
        return printed_cell(notes, row, key)
    cost = inputs.costs[row.key][key]
    if cost.reason:
        return Cell(NOTHING, marks=notes.mark(cost.reason))
    differs = inputs.shows_printed and cost.agrees is False
    explained = row.note.under(inputs.profile.name)
    marks = notes.mark(CLOSE if cost.close else "differs from the paper's") if differs and not explained else ()
    sign = (" ≈" if cost.close else " ≠") if differs else ""
    text = format_cost(cost.ours, cost.printed if inputs.shows_printed else None) + sign
    agrees = None if cost.agrees is None else str(cost.agrees)
    return Cell(text, cost.ours, {"": cost.ours, "agrees": agrees}, marks)


def measurement_cell(inputs: ReportInputs, row: Row, key: str) -> Cell:
    """Build the cell of a measured quantity, from the runs of the row's first column that has any."""
    number = measured(first_records(inputs, row), key)
    if number is None:
        return Cell(NOTHING)
    shown = number * MEASUREMENTS[key][1]
    return Cell(duration(shown) if key == "wall_seconds" else f"{shown:,.0f}", number, {"": number})


def first_records(inputs: ReportInputs, row: Row) -> list[Record]:
    """Return the records of a row's first column that has any."""
    columns = (list(inputs.results[row.key, column].records.values()) for column in inputs.table.columns)
    return next((records for records in columns if records), [])


def measured(records: Sequence[Record], key: str) -> float | None:
    """Return the mean of a measured quantity over runs of one configuration; None if it was not measured."""
    if key != "milliseconds_per_step":
        return mean_of(records, key)
    speed = mean_of(records, "images_per_second")
    return 1000 * records[0].batch_size / speed if speed else None


def cost_remark(inputs: ReportInputs) -> str:
    """Say which column's costs are shown where columns have several networks or runs; empty otherwise."""
    columns = list(inputs.table.columns.values())
    if not inputs.has_runs:
        several = len({column.overrides for column in columns}) > 1 and any(
            costs[key].ours is not None for costs in inputs.costs.values() for key in COSTS
        )
        return f"Costs are those of the networks for the first column, {columns[0].label}." if several else ""
    for row in inputs.table.rows:
        by_column = [inputs.results[row, column.key].records.values() for column in columns]
        if len({frozenset(record.identity for record in records) for records in by_column if records}) > 1:
            return "Costs and measurements are those of each row's first column that has runs."
    return ""
