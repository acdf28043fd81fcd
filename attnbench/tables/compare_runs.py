"""A table of the user's runs: rows and columns by what their configurations differ in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnbench.config.as_recorded import read_back
from attnbench.config.compose import Composer
from attnbench.config.diff import NAMED_BY_VALUE
from attnbench.config.search_path import natural_order
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError, nearest
from attnbench.runs.folder import RunFolder, shown
from attnbench.runs.metric_names import main_metric
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.runs.record_parts import CostRecord
from attnbench.tables.build_report import build_report
from attnbench.tables.report import Report
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.costs import CostComparison
from attnbench.tables.results.records import ended, with_current_identity
from attnbench.tables.results.values import Key, Result, own_result
from attnbench.tables.run_keys import describe_keys, differing_keys, split_keys
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.notes import Note
from attnbench.tables.spec.table import COSTS, DETECTION, EXPLAINED, METRICS, Column, PaperTable, Profile, Row

NO_PROFILE = Profile("own", (), {}, "")
OF_RUNS = [name for name in METRICS if name.startswith("top") or name in (*DETECTION, *EXPLAINED)]
"""Metrics of a table of runs."""


@dataclass(frozen=True)
class Run:
    """A run that ended: its record, and its configuration as this version reads it."""

    record: RunRecord
    config: RunConfig

    @property
    def kind(self) -> int:
        """A number that runs share which differ only in their seed."""
        return id(self.config.identity)

    @property
    def is_plain(self) -> bool:
        """Whether the network has no attention."""
        return self.record.choices["attention"] == "none"


Cells = dict[Key, list[Run]]


def compare_runs(
    runs: Sequence[RunFolder],
    rows: str | None,
    columns: str | None,
    metric: str | None,
    method: str,
    config_dir: str | None = None,
) -> Report:
    """Build a table of runs; arguments and errors are those of `inputs_of_runs`."""
    return build_report(inputs_of_runs(runs, rows, columns, metric, method, config_dir))


def inputs_of_runs(
    runs: Sequence[RunFolder],
    rows: str | None,
    columns: str | None,
    metric: str | None = None,
    method: str = "t",
    config_dir: str | None = None,
) -> ReportInputs:
    """Sort runs into the cells of a table.

    Args:
        runs: unfinished ones are left out.
        rows: keys and groups by which the rows differ, separated by commas; None for all in which the runs differ.
        columns: the same for the columns; None for a single column.
        metric: one of `OF_RUNS`; None for that by which the runs' best epochs were chosen.
        method: of the intervals, `t` or `bootstrap`.
        config_dir: the folder of the user's choices.

    Raises:
        UserError: a flag is wrong, no run is finished, or runs of one cell differ in more than their seeds.
    """
    if metric is not None:
        check_metric(metric)
    records = list(ended(runs))
    if not records:
        raise UserError(
            f"{shown(runs[0].path)}: none of these runs is finished; attnbench list runs shows their states"
        )
    composer = Composer(config_dir)
    found = [read_run(record, composer) for record in records]
    kinds = list({run.kind: run.config for run in found}.values())
    named, column_keys = split_keys(rows, "--rows", kinds), split_keys(columns, "--columns", kinds)
    row_keys = named or differing_keys(kinds, column_keys)
    cells = sort_into_cells(found, row_keys, column_keys)
    cells = in_reading_order(cells if named else told_apart(cells))
    for key, several in cells.items():
        check_same_run(key, several)
    row_label = ", ".join(key for key in row_keys if key in NAMED_BY_VALUE) or "settings"
    measured = (name for record in records if isinstance(record, FinishedRecord) for name in record.metrics)
    return make_inputs(cells, metric or main_metric(measured), method, len(runs) - len(records), row_label)


def read_run(record: RunRecord, composer: Composer) -> Run:
    """Return a run with its configuration, as far as this version knows it."""
    if isinstance(record, FinishedRecord):
        record = with_current_identity(record, composer)
    return Run(record, read_back(composer, record.choices, record.config))


def check_metric(metric: str) -> None:
    """Raise `UserError` for an unknown metric."""
    if metric not in OF_RUNS:
        full_name = f"top1_{metric}"
        hint = f"; did you mean {full_name}?" if full_name in OF_RUNS else nearest(metric, OF_RUNS)
        raise UserError(f"--metric {metric}: no such metric{hint} ({', '.join(OF_RUNS)})")


def sort_into_cells(runs: Iterable[Run], row_keys: Sequence[str], column_keys: Sequence[str]) -> Cells:
    """Return runs by the values of their row's and their column's keys; runs of one kind are named once."""
    names: dict[tuple[int, int], Key] = {}
    cells: Cells = {}
    for run in runs:
        kind = run.kind, run.record.seed if "seed" in {*row_keys, *column_keys} else 0
        if kind not in names:
            names[kind] = describe_keys(run.config, row_keys), describe_keys(run.config, column_keys)
        cells.setdefault(names[kind], []).append(run)
    return cells


def told_apart(cells: Cells) -> Cells:
    """Return cells in which runs that no key tells apart, as with other data, have their hash in the row's name."""
    apart: Cells = {}
    for (row, column), runs in cells.items():
        several = len({run.record.identity for run in runs}) > 1
        for run in runs:
            name = f"{row} {run.record.identity}".strip() if several else row
            apart.setdefault((name, column), []).append(run)
    return apart


def in_reading_order(cells: Cells) -> Cells:
    """Return cells with rows without attention first, and otherwise in the order in which their runs were started."""
    rows: dict[str, str] = {}
    columns: dict[str, str] = {}
    for (row, column), runs in cells.items():
        first = min(run.record.started for run in runs)
        rows[row], columns[column] = min(first, rows.get(row, first)), min(first, columns.get(column, first))
    plain = {row: all(run.is_plain for run in runs) for (row, _), runs in cells.items()}

    def order(key: Key) -> tuple[object, ...]:
        row, column = key
        return not plain[row], rows[row], natural_order(row), columns[column], natural_order(column)

    return {key: cells[key] for key in sorted(cells, key=order)}


def check_same_run(key: Key, runs: Sequence[Run]) -> None:
    """Raise `UserError` if runs that would share a cell differ in more than their seeds."""
    kinds = {run.record.identity: run.config for run in runs}
    if len(kinds) > 1:
        different = sorted(differing_keys(list(kinds.values()), [])) or ["their data"]
        where = " / ".join(part for part in key if part) or "the only cell"
        raise UserError(f"{where}: has runs that differ in {', '.join(different)}; name these in --rows or --columns")


def make_inputs(cells: Cells, metric: str, method: str, unfinished: int, row_label: str) -> ReportInputs:
    """Return the inputs of the report of runs that are sorted into cells."""
    count = sum(map(len, cells.values()))
    rows = {name: Row(name, name or "all runs", {}) for name, _ in cells}
    columns = {name: Column(name.replace(".", " "), name or metric.replace("_", " "), metric) for _, name in cells}
    results: dict[Key, Result] = {}
    costs: dict[str, dict[str, CostComparison]] = {}
    for row in rows.values():
        for name, column in columns.items():
            own = cells.get((row.key, name), [])
            by_seed = {run.record.seed: run.record for run in own if isinstance(run.record, FinishedRecord)}
            config = own[0].config if own else None
            diverged = {run.record.seed: run.record for run in own if run.record.seed not in by_seed}
            result = own_result(CellConfig(row, column, config), by_seed, diverged)
            results[row.key, column.key] = result
            if counted := next((run.record.costs for run in own if run.record.costs is not None), None):
                costs.setdefault(row.key, recorded_costs(counted))
    table = PaperTable(
        name="",
        title=f"{count} run{'s' * (count > 1)}, {metric.replace('_', ' ')}",
        source="",
        columns={column.key: column for column in columns.values()},
        rows=rows,
        baseline=baseline_of(cells),
        notes=tuple(map(Note, unfinished_note(unfinished))),
        row_label=row_label,
    )
    return ReportInputs(table, NO_PROFILE, results, costs, method=method)


def recorded_costs(costs: CostRecord) -> dict[str, CostComparison]:
    """Return the costs that a run recorded."""
    return {key: CostComparison(getattr(costs, key), None) for key in COSTS}


def baseline_of(cells: Cells) -> str:
    """Return the only row without attention; empty if there are none or several."""
    candidates = list(dict.fromkeys(row for (row, _), runs in cells.items() if all(run.is_plain for run in runs)))
    return candidates[0] if len(candidates) == 1 else ""


def unfinished_note(count: int) -> tuple[str, ...]:
    """Return the notes about runs that are left out because they are not finished."""
    if not count:
        return ()
    runs = "1 run that is not finished is" if count == 1 else f"{count} runs that are not finished are"
    return (f"{runs} left out.",)
