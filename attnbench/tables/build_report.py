"""From results to a report: headings, one line per row, claims, notes, remarks and plots."""

from collections.abc import Iterator, Sequence

from attnbench.tables.claim_results import claim_results
from attnbench.tables.comparisons import Comparisons
from attnbench.tables.cost_cells import COST_TITLES, MEASUREMENTS, cost_cell, measurement_cell
from attnbench.tables.format_cells import EPOCH_TITLES, column_title, mark_best, result_cell
from attnbench.tables.plots import make_plots
from attnbench.tables.remarks import remarks
from attnbench.tables.report import Cell, Heading, Line, Report
from attnbench.tables.report_inputs import Notes, ReportInputs
from attnbench.tables.spec import COSTS, Column, Row
from attnbench.tables.values import EPOCHS, mean_of


def build_report(inputs: ReportInputs) -> Report:
    """Build the report of a table."""
    notes, comparisons = Notes(), Comparisons(inputs)
    headings = tuple(_headings(inputs))
    lines = [_line(comparisons, notes, row, headings) for row in inputs.table.rows.values()]
    return Report(
        title=_title(inputs),
        headings=headings,
        lines=tuple(mark_best(lines, headings, inputs.table.columns)),
        source=inputs.table.source,
        claims=tuple(claim_results(inputs, comparisons)),
        notes=tuple(notes.texts),
        remarks=tuple(remarks(inputs, comparisons)),
        plots=tuple(make_plots(inputs.table, inputs.results)) if inputs.has_runs else (),
    )


def _title(inputs: ReportInputs) -> str:
    named = inputs.profile.says and (inputs.has_runs or inputs.profile.name != "paper")
    profile = f"profile {inputs.profile.name}" if named else ""
    parts = (inputs.table.name, inputs.table.title, profile, " ".join(inputs.changes))
    return " · ".join(part for part in parts if part)


def _headings(inputs: ReportInputs) -> Iterator[Heading]:
    yield Heading("row", inputs.table.x_label or inputs.table.row_label, align="left")
    for column in inputs.table.columns.values():
        yield from _result_headings(inputs, column)
    for key, title in COST_TITLES.items():
        if any(costs[key].ours is not None for costs in inputs.costs.values()):
            yield Heading(f"{key}.ours", "ours", title)
        if inputs.shows_printed and any(costs[key].printed for costs in inputs.costs.values()):
            yield Heading(f"{key}.printed", "paper", title)
    if inputs.has_runs:
        for key, (title, _) in MEASUREMENTS.items():
            if key != "energy_joules" or mean_of(list(inputs.records()), key) is not None:  # few devices report it
                yield Heading(key, title, "measured")


def _result_headings(inputs: ReportInputs, column: Column) -> Iterator[Heading]:
    results = [result for (_, key), result in inputs.results.items() if key == column.key]
    group = column_title(column)
    for epoch in EPOCHS:
        if any(result.values[epoch] for result in results) or (inputs.has_runs and epoch == "last"):
            yield Heading(f"{column.key}.{epoch}", EPOCH_TITLES[epoch], group)
    if inputs.table.baseline and any(result.values["last"] for result in results):
        yield Heading(f"{column.key}.difference", "Δ", group)
    if inputs.shows_printed and any(column.key in row.printed for row in inputs.table.rows.values()):
        yield Heading(f"{column.key}.printed", "paper", group)


def _line(comparisons: Comparisons, notes: Notes, row: Row, headings: Sequence[Heading]) -> Line:
    cells = [_cell(comparisons, notes, row, heading.key) for heading in headings]
    return Line(row.key, tuple(cells), row.section)


def _cell(comparisons: Comparisons, notes: Notes, row: Row, key: str) -> Cell:
    inputs = comparisons.inputs
    name, _, part = key.partition(".")
    if key == "row":
        return Cell(row.label, marks=notes.mark(row.note))
    if name in inputs.table.columns:
        return result_cell(comparisons, notes, row, name, part)
    if name in COSTS:
        return cost_cell(inputs, notes, row, name, part)
    return measurement_cell(inputs, row, name)
