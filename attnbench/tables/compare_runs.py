"""A table of the user's own runs: rows and columns by what their configurations differ in."""

from collections.abc import Sequence
from itertools import chain

from attnbench.config.compose import Composer
from attnbench.config.diff import NAMED_BY_VALUE, differences, label
from attnbench.config.parametric_names import short_name
from attnbench.config.recompose import recompose
from attnbench.config.schema import flatten
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError, nearest
from attnbench.runs.folder import RunFolder, shown
from attnbench.tables.build_report import ReportBuilder
from attnbench.tables.cell_configs import CellConfig
from attnbench.tables.costs import CostComparison
from attnbench.tables.records import Record, finished
from attnbench.tables.report import Report
from attnbench.tables.spec import COSTS, METRICS, Column, PaperTable, Profile, Row
from attnbench.tables.values import EPOCHS, Epoch, MissingValue, Result, Values, accuracy

OWN = Profile("own", (), {}, "")
ACCURACIES = [name for name in METRICS if name.startswith("top")]
Placed = tuple[str, str]


def compare_runs(
    runs: Sequence[RunFolder],
    rows: str | None,
    columns: str | None,
    metric: str,
    method: str,
    config_dir: str | None = None,
) -> Report:
    """A table of runs. rows, columns: keys and groups, separated by commas; config_dir: where the user's own choices
    lie. Raises `UserError`.
    """
    if metric not in ACCURACIES:
        meant = next((f"; did you mean top1_{metric}?" for name in ACCURACIES if name == f"top1_{metric}"), "")
        raise UserError(f"--metric {metric}: no such metric{meant or nearest(metric, ACCURACIES)}"
                        f" ({', '.join(ACCURACIES)})")  # fmt: skip
    records = list(finished(runs))
    if not records:
        raise UserError(f"{shown(runs[0].path)}: none of these runs is finished; attnbench list runs tells their state")
    composer = Composer(config_dir)
    configs = [recompose(composer, record.choices, record.config, [])[0] for record in records]
    row_keys, column_keys = keys(rows, "--rows", configs), keys(columns, "--columns", configs)
    if not row_keys:
        row_keys = left_over(configs, column_keys)
    placed: dict[Placed, list[int]] = {}
    for number, config in enumerate(configs):
        placed.setdefault((told(config, row_keys), told(config, column_keys)), []).append(number)
    for place, numbers in placed.items():
        require_alike(place, [configs[number] for number in numbers], [records[number] for number in numbers])
    row_label = ", ".join(key for key in row_keys if key in NAMED_BY_VALUE) or "settings"
    return assembled(placed, configs, records, metric, method, len(runs) - len(records), row_label)


def keys(text: str | None, flag: str, configs: Sequence[RunConfig]) -> list[str]:
    """The keys that a flag names. Raises `UserError` for one that no run has."""
    names = [name.strip() for name in text.split(",")] if text else []
    known = list(dict.fromkeys(chain.from_iterable([*config.choices, *flatten(config.values)] for config in configs)))
    for name in names:
        if name not in known:
            raise UserError(f"{flag} {name}: no run has such a key{nearest(name, known)}")
    return names


def left_over(configs: Sequence[RunConfig], columns: Sequence[str]) -> list[str]:
    """The keys in which runs differ, without those that columns are told by."""
    short = {key: key.rpartition(".")[2] for config in configs for key in (*config.choices, *config.identity)}
    named = {key for difference in differences(configs) for key in difference}
    wanted = [key for key in short if (key in named or short[key] in named) and key not in columns]
    return [key for key in wanted if key in named or varies(key, configs)]


def varies(key: str, configs: Sequence[RunConfig]) -> bool:
    """Whether configurations differ in a key's value: `width` may be the backbone's or the attention's."""
    return len({repr(flatten(config.values).get(key)) for config in configs}) > 1


def shortened(names: Sequence[str]) -> dict[str, str]:
    """The last part of each key, or all of it where others end alike."""
    last = [name.rpartition(".")[2] for name in names]
    return {name: end if last.count(end) == 1 else name for name, end in zip(names, last, strict=True)}


def told(config: RunConfig, names: Sequence[str]) -> str:
    """What a configuration has for keys, in words; empty for none."""
    leaves = flatten(config.values)
    found = {
        name: short_name(config.choices[name], config[name]) if name in config.choices else str(leaves[name])
        for name in names
        if name in config.choices or name in leaves
    }
    short = shortened(names)
    return label({short[name]: found[name] for name in found})


def require_alike(place: Placed, configs: Sequence[RunConfig], records: Sequence[Record]) -> None:
    """Raise `UserError` if runs that would share a cell differ in more than their seeds."""
    if len({record.identity for record in records}) > 1:
        named = sorted({key for difference in differences(configs) for key in difference}) or ["their data"]
        where = " / ".join(part for part in place if part) or "the only cell"
        raise UserError(f"{where}: holds runs that differ in {', '.join(named)}; name these in --rows or --columns")


def assembled(
    placed: dict[Placed, list[int]],
    configs: Sequence[RunConfig],
    records: Sequence[Record],
    metric: str,
    method: str,
    unfinished: int,
    row_label: str,
) -> Report:
    """The sheet of runs that are placed in rows and columns."""
    rows = {name: Row(name, name or "all runs", {}) for name, _ in placed}
    columns = {name: Column(name.replace(".", " "), name or metric.replace("_", " "), metric) for _, name in placed}
    results: dict[Placed, Result] = {}
    costs: dict[str, dict[str, CostComparison]] = {}
    for row in rows.values():
        for name, column in columns.items():
            numbers = placed.get((row.key, name), [])
            found = {records[number].seed: records[number] for number in numbers}
            config = configs[numbers[0]] if numbers else None
            results[row.key, column.key] = result(CellConfig(row, column, config), found)
            if found:
                costs.setdefault(
                    row.key,
                    {key: CostComparison(getattr(next(iter(found.values())).costs, key), None) for key in COSTS},
                )
    baselines = [name for name in rows if name == "none" or name.startswith("none ")]
    title = f"{len(records)} run{'s' * (len(records) > 1)}, {metric.replace('_', ' ')}"
    left_out = "1 run that is not finished is" if unfinished == 1 else f"{unfinished} runs that are not finished are"
    notes = (f"{left_out} left out.",) if unfinished else ()
    by_key = {column.key: column for column in columns.values()}
    baseline = baselines[0] if len(baselines) == 1 else ""
    table = PaperTable("", title, "", by_key, rows, baseline=baseline, notes=notes, row_label=row_label)
    return ReportBuilder(table, OWN, results, costs, method=method).sheet()


def result(cell: CellConfig, records: dict[int, Record]) -> Result:
    """The values of a cell, as the runs' own tests gave them."""
    values: dict[Epoch, Values] = {}
    reasons: dict[Epoch, str] = {}
    for epoch in EPOCHS:
        values[epoch], missing = {}, []
        for seed, record in sorted(records.items()):
            try:
                values[epoch][seed] = accuracy(record, cell.column, epoch)
            except MissingValue as absent:
                missing.append(str(absent))
        reasons[epoch] = next(iter(missing), "" if records else "not run")
    return Result(cell, dict(sorted(records.items())), values, reasons)
