"""From results to a report: headings, one line per row, claims, notes, remarks and plots."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from attnbench.tables.best_cells import mark_best
from attnbench.tables.columns import shown_besides
from attnbench.tables.cost_cells import COST_TITLES, MEASUREMENTS, cost_cell, measurement_cell
from attnbench.tables.format_cells import EPOCH_TITLES, column_title, epochs_differ, result_cell
from attnbench.tables.guide_cells import TITLES as GUIDE_TITLES
from attnbench.tables.guide_cells import guide_cell, guide_headings
from attnbench.tables.plots.make import make_plots
from attnbench.tables.remarks import about_columns, remarks
from attnbench.tables.report import NOTHING, Cell, ClaimResult, Heading, Line, Report
from attnbench.tables.report_inputs import Notes, ReportInputs
from attnbench.tables.results.class_results import class_results
from attnbench.tables.results.values import EPOCHS, mean_of
from attnbench.tables.spec.table import COSTS, Column, Row
from attnbench.tables.verdicts.claim_results import claim_results
from attnbench.tables.verdicts.comparisons import Comparisons


def build_report(inputs: ReportInputs) -> Report:
    """Build the report of a table."""
    notes, comparisons = Notes(), Comparisons(inputs)
    headings = shown_besides(tuple(_headings(inputs)), inputs.table.shows)
    lines = [_line(comparisons, notes, row, headings) for row in inputs.table.rows.values()]
    return Report(
        title=_title(inputs),
        headings=headings,
        lines=tuple(mark_best(comparisons, lines, headings)),
        source=inputs.table.source,
        claims=tuple(_without_printed(inputs, result) for result in claim_results(inputs, comparisons)),
        notes=tuple(notes.texts),
        remarks=tuple(remarks(inputs, comparisons)),
        about_columns=about_columns(inputs),
        plots=tuple(make_plots(inputs.table, inputs.results)) if inputs.has_runs else (),
        per_class=class_results(inputs.table, inputs.results, inputs.archived),
    )


def _without_printed(inputs: ReportInputs, result: ClaimResult) -> ClaimResult:
    """Return a claim's result, without the paper's differences where its numbers are not shown."""
    if inputs.shows_printed:
        return result
    return replace(result, parts=tuple(replace(part, printed=None) for part in result.parts))


def _title(inputs: ReportInputs) -> str:
    named = inputs.profile.says and (inputs.has_runs or inputs.profile.name != "paper")
    profile = f"profile {inputs.profile.name}" if named else ""
    parts = (inputs.table.name, inputs.table.title, profile, " ".join(inputs.changes))
    return " · ".join(part for part in parts if part)


def _headings(inputs: ReportInputs) -> Iterator[Heading]:
    yield Heading("row", _row_title(inputs), align="left", kind="row")
    for column in inputs.table.columns.values():
        yield from _result_headings(inputs, column)
    networks = [inputs.costs[key] for key, row in inputs.table.rows.items() if key in inputs.costs and not row.map]
    for key, title in COST_TITLES.items():
        if any(costs[key].ours is not None for costs in networks):
            yield Heading(f"{key}.ours", "ours", title, kind="cost")
        if inputs.shows_printed and any(costs[key].printed for costs in networks):
            yield Heading(f"{key}.printed", "paper", title, kind="printed cost")
    yield from guide_headings(inputs)
    if inputs.has_runs:
        for key, (title, _) in MEASUREMENTS.items():
            if key != "energy_joules" or mean_of(list(inputs.records()), key) is not None:  # few devices report it
                yield Heading(key, title, "measured", kind="measured", shown=False)


def _row_title(inputs: ReportInputs) -> str:
    """Return the heading of the rows' labels; where a curve has several rows at each x, the label is no x."""
    table = inputs.table
    is_one_curve = len({row.label for row in table.rows.values()}) == len(table.rows)
    return table.x_label if table.x_label and is_one_curve else table.row_label


def _result_headings(inputs: ReportInputs, column: Column) -> Iterator[Heading]:
    results = [result for (_, key), result in inputs.results.items() if key == column.key]
    group = column_title(column)
    for epoch in EPOCHS:
        if any(result.values[epoch] for result in results) or (inputs.has_runs and epoch == "last"):
            shown = epoch == "last" or any(map(epochs_differ, results))
            yield Heading(f"{column.key}.{epoch}", EPOCH_TITLES[epoch], group, kind=epoch, shown=shown)
    if inputs.table.baseline and any(result.values["last"] for result in results):
        yield Heading(f"{column.key}.difference", "Δ", group, kind="difference")
    if inputs.shows_printed and any(column.key in row.printed for row in inputs.table.rows.values()):
        yield Heading(f"{column.key}.printed", "paper", group, kind="printed")


def _line(comparisons: Comparisons, notes: Notes, row: Row, headings: Sequence[Heading]) -> Line:
    cells = [_cell(comparisons, notes, row, heading.key) for heading in headings]
    return Line(row.key, tuple(cells), row.section)


def _cell(comparisons: Comparisons, notes: Notes, row: Row, key: str) -> Cell:
    inputs = comparisons.inputs
    name, _, part = key.partition(".")
    if key == "row":
        return Cell(row.label, marks=notes.mark(row.note.under(inputs.profile.name)))
    if name in inputs.table.columns:
        return result_cell(comparisons, notes, row, name, part)
    if name in COSTS and row.map:
        return Cell(NOTHING)
    if name in COSTS:
        return cost_cell(inputs, notes, row, name, part)
    if name in GUIDE_TITLES:
        return guide_cell(inputs, row, name)
    return measurement_cell(inputs, row, name)
