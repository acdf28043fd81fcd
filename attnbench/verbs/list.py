"""attnbench list: what can be composed, which data is there, the state of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from attnbench.config import folders as where
from attnbench.config.help import shown_choices
from attnbench.data.base import DataSet
from attnbench.errors import UserError
from attnbench.status import DONE
from attnbench.terminal import make_console, make_table, of_all
from attnbench.verbs.arguments import Parser, wants_help

HELP = """\
attnbench list                      all groups and their choices
attnbench list GROUP                a group's choices: {groups}
attnbench list data [--root DIR]    data sets, and whether they are on disk
attnbench list runs [--output DIR]  runs and their state

Flags:
  --root DIR         where data sets are looked for (default: data)
  --output DIR       the folder that holds runs/ (default: outputs)
  --config-dir DIR   a folder of further configs
"""


def main(words: Sequence[str]) -> int:
    """Print a list; returns the exit status."""
    if wants_help(words):
        print(HELP.format(groups=", ".join(where.groups(where.search_path()))))
        return DONE
    parser = Parser(prog="attnbench list", add_help=False, allow_abbrev=False)
    parser.add_argument("what", nargs="?")
    parser.add_argument("--root", default="data")
    parser.add_argument("--output", default="outputs")
    parser.add_argument("-cd", "--config-dir")
    arguments = parser.parse_args(words)
    folders = where.search_path(arguments.config_dir)
    groups = where.groups(folders)
    console = make_console()
    if arguments.what is None:
        for group in groups:
            console.print(f"{group:<11} {', '.join(shown_choices(group, folders))}", markup=False)
    elif arguments.what == "data":
        console.print(data_table(folders, arguments.root, arguments.config_dir))
    elif arguments.what == "runs":
        return list_runs(console, Path(arguments.output))
    elif arguments.what in groups:
        console.print(group_table(arguments.what, folders))
    else:
        names = [*groups, "runs"]
        raise UserError(f"{arguments.what}: nothing to list{where.nearest(arguments.what, names)} ({', '.join(names)})")
    return DONE


def group_table(group: str, folders: Sequence[Path]) -> Table:
    """A group's choices with their descriptions."""
    table = Table(show_header=False, box=None)
    files = where.choices(group, folders).values()
    for name, path in zip(shown_choices(group, folders), files, strict=True):
        table.add_row(name, where.describe(path))
    return table


def data_table(folders: Sequence[Path], root: str, config_dir: str | None) -> Table:
    """Data sets: images, classes, and whether they are on disk."""
    from attnbench.config.compose import Composer
    from attnbench.construct import build_data

    composer = Composer(config_dir)
    table = make_table()
    for column in ("name", "on disk", "classes", "image", "description"):
        table.add_column(column)
    for name, path in where.choices("data", folders).items():
        config = composer.compose([f"data={name}"])
        if "root" in config["data"]:
            config["data"]["root"] = root
        data = build_data(config)
        try:
            data.find()
            state = "yes" if "root" in config["data"] else "bundled"
        except UserError:
            state = "no"
        table.add_row(name, state, _classes(data), f"{data.image_size}x{data.image_size}", where.describe(path))
    return table


def _classes(data: DataSet) -> str:
    """How many classes a set has; a dash where only its files could tell and they are not there."""
    try:
        return of_all(data.num_classes, data.all_classes)
    except UserError:
        return "–"


def list_runs(console: Console, output: Path) -> int:
    """Print the runs under an output folder."""
    from attnbench.runs.folder import find_runs, shown

    runs = find_runs(output)
    if not runs:
        raise UserError(f"no runs under {shown(output / 'runs')}; attnbench train makes one")
    table = make_table()
    for column in ("run", "state", "epochs", "test top-1", "best val. epoch"):
        table.add_column(column, no_wrap=True)
    for run in runs:
        record: dict[str, Any] = run.record() or {}
        accuracies = (record.get(key) for key in ("test/top1_accuracy", "test/best/top1_accuracy"))
        shown_accuracies = ("" if value is None else f"{value:.2%}" for value in accuracies)
        table.add_row(str(run.path.relative_to(output / "runs")), run.state(), run.epochs(), *shown_accuracies)
    console.print(table)
    return DONE
