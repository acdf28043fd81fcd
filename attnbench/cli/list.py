"""attnbench list: what can be combined, data sets, papers' tables, and runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from attnbench.cli.arguments import make_parser, wants_help
from attnbench.cli.help import group_lines, list_help, shown_choices
from attnbench.cli.wrap import print_help
from attnbench.config import search_path
from attnbench.console import make_console, make_table
from attnbench.errors import UserError, nearest
from attnbench.exit_codes import DONE


def main(words: Sequence[str]) -> int:
    """Print a list and return the exit status."""
    if wants_help(words):
        print_help(list_help(search_path.search_path()))
        return DONE
    arguments = _parse(words)
    folders = search_path.search_path(arguments.config_dir)
    console = make_console()
    if arguments.what is None:
        list_groups(console, folders)
    elif arguments.what == "data":
        from attnbench.cli.views.data_sets import show_data_sets

        show_data_sets(console, folders, arguments.root, arguments.config_dir)
    elif arguments.what == "paper":
        list_papers(console, arguments.config_dir)
    elif arguments.what == "runs":
        list_runs(console, Path(arguments.output))
    else:
        list_choices(console, arguments.what, folders)
    return DONE


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("list")
    parser.add_argument("what", nargs="?")
    parser.add_argument("--root")
    parser.add_argument("--output", default="outputs")
    parser.add_argument("-cd", "--config-dir")
    return parser.parse_args(words)


def list_groups(console: Console, folders: Sequence[Path]) -> None:
    """Print all config groups and their choices."""
    for group in search_path.groups(folders):
        lines = group_lines(group, folders, indent="", width=console.width)
        console.print(lines, soft_wrap=True)


def list_choices(console: Console, group: str, folders: Sequence[Path]) -> None:
    """Print a group's choices with their descriptions. Raises `UserError` for a group that does not exist."""
    groups = search_path.groups(folders)
    if group not in groups:
        names = [*groups, "paper", "runs"]
        raise UserError(f"{group}: nothing to list{nearest(group, names)} ({', '.join(names)})")
    table = Table(show_header=False, box=None)
    files = search_path.choices(group, folders).values()
    for name, path in zip(shown_choices(group, folders), files, strict=True):
        table.add_row(name, search_path.describe(path))
    console.print(table)


def list_papers(console: Console, config_dir: str | None) -> None:
    """Print the papers' tables with their descriptions."""
    from attnbench.tables.spec.load import descriptions

    table = Table(show_header=False, box=None)
    for name, text in descriptions(config_dir).items():
        table.add_row(name, text)
    console.print(table)


def list_runs(console: Console, output: Path) -> None:
    """Print the runs under an output folder with their states. Raises `UserError` if there are none."""
    from attnbench.runs.files import readable
    from attnbench.runs.folder import find_runs, shown
    from attnbench.runs.metric_names import BEST_TEST_TOP1, TEST_TOP1
    from attnbench.runs.record import FinishedRecord

    runs = find_runs(output)
    if not runs:
        raise UserError(f"no runs under {shown(output / 'runs')}; attnbench train makes one")
    table = make_table()
    table.add_column("run", overflow="fold")  # the one column that may be narrow
    for column in ("state", "epochs", "test top-1", "best val. epoch"):
        table.add_column(column, no_wrap=True)
    for run in runs:
        record = readable(run.record, None)
        metrics = record.metrics if isinstance(record, FinishedRecord) else {}
        accuracies = (metrics.get(name) for name in (TEST_TOP1, BEST_TEST_TOP1))
        percentages = ("" if value is None else f"{value:.2%}" for value in accuracies)
        table.add_row(str(run.path.relative_to(output / "runs")), run.state(), run.epochs(), *percentages)
    console.print(table)
