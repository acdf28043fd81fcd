"""A table of the user's runs: rows and columns by what their configurations differ in."""

from collections.abc import Mapping, Sequence
from itertools import chain

from attnbench.config.compose import Composer
from attnbench.config.diff import NAMED_BY_VALUE, differences, label
from attnbench.config.parametric_names import short_name
from attnbench.config.recompose import recompose
from attnbench.config.schema import flatten
from attnbench.config.search_path import natural_order
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError, nearest
from attnbench.runs.folder import RunFolder, shown
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.runs.record_parts import CostRecord
from attnbench.tables.build_report import build_report
from attnbench.tables.columns import NAMES
from attnbench.tables.report import Report
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.costs import CostComparison
from attnbench.tables.results.records import Record, ended, with_current_identity
from attnbench.tables.results.values import EPOCHS, Epoch, Key, MissingValue, Result, Values, accuracy, without_values
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import COSTS, METRICS, Column, PaperTable, Profile, Row

NO_PROFILE = Profile("own", (), {}, "")
ACCURACIES = [name for name in METRICS if name.startswith("top")]


def compare_runs(
    runs: Sequence[RunFolder],
    rows: str | None,
    columns: str | None,
    metric: str,
    method: str,
    config_dir: str | None = None,
) -> Report:
    """Build a table of runs.

    Args:
        runs: unfinished ones are left out.
        rows: keys and groups by which the rows differ, separated by commas; None for all in which the runs differ.
        columns: the same for the columns; None for a single column.
        metric: one of `ACCURACIES`.
        method: of the intervals, `t` or `bootstrap`.
        config_dir: the folder of the user's choices.

    Raises:
        UserError: a flag is wrong, no run is finished, or runs of one cell differ in more than their seeds.
    """
    check_metric(metric)
    records = list(ended(runs))
    if not records:
        raise UserError(
            f"{shown(runs[0].path)}: none of these runs is finished; attnbench list runs shows their states"
        )
    composer = Composer(config_dir)
    records = [
        with_current_identity(record, composer) if isinstance(record, FinishedRecord) else record for record in records
    ]
    configs = [recompose(composer, record.choices, record.config, [])[0] for record in records]
    row_keys, column_keys = split_keys(rows, "--rows", configs), split_keys(columns, "--columns", configs)
    if not row_keys:
        row_keys = differing_keys(configs, column_keys)
    cells: dict[Key, list[int]] = {}
    for number, config in enumerate(configs):
        cells.setdefault((describe_keys(config, row_keys), describe_keys(config, column_keys)), []).append(number)
    cells = dict(sorted(cells.items(), key=lambda item: reading_order(item[0])))
    for key, numbers in cells.items():
        check_same_run(key, [configs[number] for number in numbers], [records[number] for number in numbers])
    row_label = ", ".join(key for key in row_keys if key in NAMED_BY_VALUE) or "settings"
    return build_table(cells, configs, records, metric, method, len(runs) - len(records), row_label)


def check_metric(metric: str) -> None:
    """Raise `UserError` for an unknown metric."""
    if metric not in ACCURACIES:
        full_name = f"top1_{metric}"
        hint = f"; did you mean {full_name}?" if full_name in ACCURACIES else nearest(metric, ACCURACIES)
        raise UserError(f"--metric {metric}: no such metric{hint} ({', '.join(ACCURACIES)})")


def split_keys(text: str | None, flag: str, configs: Sequence[RunConfig]) -> list[str]:
    """Return the keys that a flag names. Raises `UserError` for one that no run has."""
    names = [name.strip() for name in text.split(",")] if text else []
    known = list(dict.fromkeys(chain.from_iterable([*config.choices, *flatten(config.values)] for config in configs)))
    also = NAMES if flag == "--columns" else ()
    for name in names:
        if name not in known:
            raise UserError(f"{flag} {name}: no run has such a key{nearest(name, [*known, *also])}")
    return names


def differing_keys(configs: Sequence[RunConfig], columns: Sequence[str]) -> list[str]:
    """Return the keys in which runs differ, without those of the columns."""
    short = {key: key.rpartition(".")[2] for config in configs for key in (*config.choices, *config.identity)}
    different = {key for difference in differences(configs) for key in difference}
    candidates = [key for key in short if (key in different or short[key] in different) and key not in columns]
    return [key for key in candidates if key in different or varies(key, configs)]


def varies(key: str, configs: Sequence[RunConfig]) -> bool:
    """Return whether configurations differ in a key's value: `width` may be the backbone's or the attention's."""
    return len({repr(flatten(config.values).get(key)) for config in configs}) > 1


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or the whole key where several end alike."""
    ends = [name.rpartition(".")[2] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def describe_keys(config: RunConfig, names: Sequence[str]) -> str:
    """Return a configuration's values of keys in words; empty if it has none of them."""
    leaves = flatten(config.values)
    values = {
        name: short_name(config.choices[name], config[name]) if name in config.choices else str(leaves[name])
        for name in names
        if name in config.choices or name in leaves
    }
    short = short_names(names)
    return label({short[name]: value for name, value in values.items()})


def reading_order(key: Key) -> tuple[object, ...]:
    """Return a sort key of cells: rows without attention first, then by name, so that 2 comes before 10."""
    row, column = key
    return not _is_plain(row), natural_order(row), natural_order(column)


def _is_plain(row: str) -> bool:
    return row == "none" or row.startswith("none ")


def check_same_run(key: Key, configs: Sequence[RunConfig], records: Sequence[RunRecord]) -> None:
    """Raise `UserError` if runs that would share a cell differ in more than their seeds."""
    if len({record.identity for record in records}) > 1:
        different = sorted(differing_keys(configs, [])) or ["their data"]
        where = " / ".join(part for part in key if part) or "the only cell"
        raise UserError(f"{where}: has runs that differ in {', '.join(different)}; name these in --rows or --columns")


def build_table(
    cells: Mapping[Key, Sequence[int]],
    configs: Sequence[RunConfig],
    records: Sequence[RunRecord],
    metric: str,
    method: str,
    unfinished: int,
    row_label: str,
) -> Report:
    """Build the report of runs that are sorted into cells. `cells` holds positions in `configs` and `records`."""
    rows = {name: Row(name, name or "all runs", {}) for name, _ in cells}
    columns = {name: Column(name.replace(".", " "), name or metric.replace("_", " "), metric) for _, name in cells}
    results: dict[Key, Result] = {}
    costs: dict[str, dict[str, CostComparison]] = {}
    for row in rows.values():
        for name, column in columns.items():
            numbers = cells.get((row.key, name), [])
            own = [records[number] for number in numbers]
            by_seed = {record.seed: record for record in own if isinstance(record, FinishedRecord)}
            config = configs[numbers[0]] if numbers else None
            result = own_result(CellConfig(row, column, config), by_seed, len(own) - len(by_seed))
            results[row.key, column.key] = result
            if counted := next((record.costs for record in own if record.costs is not None), None):
                costs.setdefault(row.key, recorded_costs(counted))
    table = PaperTable(
        name="",
        title=f"{len(records)} run{'s' * (len(records) > 1)}, {metric.replace('_', ' ')}",
        source="",
        columns={column.key: column for column in columns.values()},
        rows=rows,
        baseline=baseline_of(rows),
        notes=unfinished_note(unfinished),
        row_label=row_label,
    )
    return build_report(ReportInputs(table, NO_PROFILE, results, costs, method=method))


def recorded_costs(costs: CostRecord) -> dict[str, CostComparison]:
    """Return the costs that a run recorded."""
    return {key: CostComparison(getattr(costs, key), None) for key in COSTS}


def baseline_of(rows: Mapping[str, Row]) -> str:
    """Return the only row without attention; empty if there are none or several."""
    candidates = [name for name in rows if _is_plain(name)]
    return candidates[0] if len(candidates) == 1 else ""


def unfinished_note(count: int) -> tuple[str, ...]:
    """Return the notes about runs that are left out because they are not finished."""
    if not count:
        return ()
    runs = "1 run that is not finished is" if count == 1 else f"{count} runs that are not finished are"
    return (f"{runs} left out.",)


def own_result(cell: CellConfig, records: Mapping[int, Record], diverged: int = 0) -> Result:
    """Return the values of a cell as the runs' own tests gave them; none if some of its runs diverged."""
    values: dict[Epoch, Values] = {}
    reasons: dict[Epoch, str] = {}
    for epoch in EPOCHS:
        values[epoch], missing = {}, []
        for seed, record in sorted(records.items()):
            try:
                values[epoch][seed] = accuracy(record, cell.column, epoch)
            except MissingValue as reason:
                missing.append(str(reason))
        reasons[epoch] = next(iter(missing), "" if records else "not run")
    result = Result(cell, dict(sorted(records.items())), values, reasons, diverged=diverged)
    return without_values(result) if diverged else result
