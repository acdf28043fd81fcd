"""The runs under an output folder, in a table."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from attnbench.config.compose import Composer
from attnbench.console import make_table
from attnbench.errors import UserError
from attnbench.launch.status import OPEN, status_of_output
from attnbench.runs.files import readable, shown
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.metric_names import TEST
from attnbench.runs.names import names_by_difference
from attnbench.runs.record import FinishedRecord, RunRecord

COLUMNS = ("hash", "state", "epochs", "test\ntop-1", "best val.\nepoch")
LEFT_OUT_FIRST = ("best val.\nepoch", "epochs", "state", "test\ntop-1")
"""The order in which columns give way to a narrow terminal."""
NAME_WIDTH = 12
"""Least width of a name, which is folded in a narrow terminal."""
UNLIMITED = 10_000
"""Width of a console in which any table fits."""


class Row(NamedTuple):
    """A run's name, and what is shown of it by column."""

    name: str
    cells: Mapping[str, str]


def show_runs(console: Console, output: Path, composer: Composer) -> None:
    """Print the runs with their states, named by what they differ in, and which columns do not fit.

    Raises `UserError` if there are no runs.
    """
    runs = find_runs(output)
    if not runs:
        raise UserError(f"no runs under {shown(output / 'runs')}; attnbench train makes one")
    records = [readable(run.record, None) for run in runs]
    names = names_by_difference((record for record in records if record is not None), composer)
    finished = all(isinstance(record, FinishedRecord) for record in records)
    sweeps = [] if finished else status_of_output(output)  # which looks at all folders once more
    states = {run.folder: run.state for sweep in sweeps for run in sweep.runs if run.state in OPEN}
    rows = [
        Row(_name(run, record, names), dict(zip(COLUMNS, _cells(run, record, states), strict=True)))
        for run, record in zip(runs, records, strict=True)
    ]
    columns = _fitting_columns(console, rows)
    console.print(_table(rows, columns))
    if hidden := [column.replace("\n", " ") for column in COLUMNS if column not in columns]:
        console.print(f"not shown in {console.width} columns: {', '.join(hidden)}")


def _cells(run: RunFolder, record: RunRecord | None, states: Mapping[Path, str]) -> Sequence[str]:
    return (_hash(run), *_progress(run, record, states), *_accuracies(record))


def _table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    table = make_table()
    table.add_column("run", overflow="fold", min_width=NAME_WIDTH)  # the one column that may be narrow
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(row.name, *(row.cells[column] for column in columns))
    return table


def _fitting_columns(console: Console, rows: Sequence[Row]) -> list[str]:
    """Return the columns that fit beside the narrowest names, at least the hash."""
    columns, nameless = list(COLUMNS), [row._replace(name="") for row in rows]
    options = console.options.update(width=UNLIMITED)
    for column in LEFT_OUT_FIRST:
        if console.measure(_table(nameless, columns), options=options).maximum <= console.width:
            break
        columns.remove(column)
    return columns


def _name(run: RunFolder, record: RunRecord | None, names: Mapping[str, str]) -> str:
    """Return what tells a run from the others; where nothing does, what its folder says of it."""
    readable_part = run.path.parent.name.rpartition("-")[0]
    return (names[record.identity] if record is not None else "") or readable_part


def _hash(run: RunFolder) -> str:
    """Return the run's hash and seed, by which other verbs find it: `0123456789/seed0`."""
    return f"{run.path.parent.name.rpartition('-')[2]}/{run.path.name}"


def _progress(run: RunFolder, record: RunRecord | None, states: Mapping[Path, str]) -> tuple[str, str]:
    """Return the run's state and epochs; a finished run's record says both. `states`: of runs that run or wait."""
    if isinstance(record, FinishedRecord):
        return "finished", f"{record.epochs}/{record.planned_epochs}"
    return states.get(run.path) or run.state(), run.epochs()


def _accuracies(record: RunRecord | None) -> Iterable[str]:
    if not isinstance(record, FinishedRecord):
        return ["", ""]
    accuracies = (record.main_value(TEST, best) for best in (False, True))
    return ["" if value is None else f"{value:.2%}" for value in accuracies]
