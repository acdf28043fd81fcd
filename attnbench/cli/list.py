"""attnbench list: what can be combined, data sets, papers' tables, and runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from attnbench.cli.arguments import OUTPUT_FOLDER, make_parser, wants_help
from attnbench.cli.help import group_lines, list_help
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.config import search_path
from attnbench.console import make_console
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
        from attnbench.cli.views.runs import show_runs
        from attnbench.config.compose import Composer

        show_runs(console, Path(arguments.output or OUTPUT_FOLDER).expanduser(), Composer(arguments.config_dir))
    else:
        list_choices(console, arguments.what, folders)
    return DONE


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("list")
    parser.add_argument("what", nargs="?")
    parser.add_argument("--root")
    parser.add_argument("--output")
    parser.add_argument("-cd", "--config-dir")
    arguments = parser.parse_args(words)
    for flag, what in (("root", "data"), ("output", "runs")):
        if arguments.what != what:
            refuse(arguments, (flag,), f"is for attnbench list {what}")
    return arguments


def list_groups(console: Console, folders: Sequence[Path]) -> None:
    """Print all config groups and their choices."""
    for group in search_path.groups(folders):
        lines = group_lines(group, folders, indent="", width=console.width)
        console.print(lines, soft_wrap=True)


def list_choices(console: Console, group: str, folders: Sequence[Path]) -> None:
    """Print a group's choices with their descriptions. Raises `UserError` for a group that does not exist."""
    groups = [*search_path.groups(folders), "search"]
    if group not in groups:
        names = [*groups, "paper", "runs"]
        raise UserError(f"{group}: nothing to list{nearest(group, names)} ({', '.join(names)})")
    table = Table(show_header=False, box=None)
    files = search_path.choices(group, folders).values()
    for name, path in zip(search_path.shown_choices(group, folders), files, strict=True):
        table.add_row(name, search_path.describe(path))
    console.print(table)


def list_papers(console: Console, config_dir: str | None) -> None:
    """Print the papers' tables with their descriptions."""
    from attnbench.tables.spec.load import descriptions

    table = Table(show_header=False, box=None)
    for name, text in descriptions(config_dir).items():
        table.add_row(name, text)
    console.print(table)
