"""attnbench table: a paper's table, or one of your own runs, from records alone."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from attnbench.cli.arguments import Parser, wants_help
from attnbench.cli.help import TABLE
from attnbench.errors import UserError
from attnbench.exit_codes import DONE
from attnbench.tables.report import Report

FORMATS = ("terminal", "markdown", "latex", "csv", "html")
ENDINGS = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html", ".txt": "terminal"}


def main(words: Sequence[str]) -> int:
    """Print a table; returns the exit status."""
    if wants_help(words):
        print(TABLE)
        return DONE
    parser = Parser(prog="attnbench table", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--profile")
    parser.add_argument("--rows")
    parser.add_argument("--columns")
    parser.add_argument("--metric")
    parser.add_argument("--bootstrap", action="store_true")
    add_output(parser)
    arguments = parser.parse_intermixed_args(words)
    form_of(arguments.format, arguments.to)
    require_place(arguments.to)
    show(make_sheet(arguments), arguments.format, arguments.to)
    return DONE


def add_output(parser: Parser) -> None:
    """Flags that say in what form a table is wanted, and where."""
    parser.add_argument("--format", choices=FORMATS, default=None)
    parser.add_argument("--to", type=Path)
    parser.add_argument("-cd", "--config-dir")


def make_sheet(arguments: argparse.Namespace) -> Report:
    """The table that is meant: a paper's, by its name, or one of runs. Raises `UserError`."""
    from attnbench.tables.load import table_files

    names = [word for word in arguments.words if "=" not in word or Path(word).exists()]
    overrides = [word for word in arguments.words if word not in names]
    if not names:
        raise UserError("attnbench table: name a table (attnbench list paper), or runs: a folder, a hash, a pattern")
    tables = table_files(arguments.config_dir)
    if names[0] not in tables:
        return _own(arguments, names, overrides)
    for flag in ("rows", "columns", "metric"):
        if getattr(arguments, flag):
            raise UserError(f"--{flag}: {names[0]} has rows and columns of its own; the flag is for tables of runs")
    if names[1:]:
        raise UserError(f"{names[1]}: one table at a time")
    from attnbench.reproduce.campaign import TableReproduction

    campaign = TableReproduction.open(names[0], arguments.profile or "paper", overrides, arguments.config_dir)
    return campaign.sheet(campaign.results(), "bootstrap" if arguments.bootstrap else "t")


def _own(arguments: argparse.Namespace, names: Sequence[str], overrides: Sequence[str]) -> Report:
    from attnbench.cli.evaluate import split_words
    from attnbench.runs.lookup import find
    from attnbench.runs.metric_names import TOP1
    from attnbench.tables.compare_runs import compare_runs
    from attnbench.tables.load import hint, table_files

    if arguments.profile:
        raise UserError(f"--profile: {names[0]} is no table of a paper; attnbench list paper names them")
    _, rest, output = split_words([*names, *overrides])
    if rest:
        raise UserError(f"{rest[0]}: a table of runs takes no overrides but output=DIR")
    runs, refusals = find(names, output)
    if refusals:
        meant = hint(names[0], list(table_files(arguments.config_dir)))
        raise UserError(f"{refusals[0]}{meant}")
    method = "bootstrap" if arguments.bootstrap else "t"
    metric = arguments.metric or TOP1
    return compare_runs(runs, arguments.rows, arguments.columns, metric, method, arguments.config_dir)


def form_of(form: str | None, to: Path | None) -> str:
    """The form that is meant: the one named, else what the file's ending tells. Raises `UserError`."""
    found = form or (ENDINGS.get(to.suffix) if to else "terminal")
    if found is None:
        raise UserError(f"--to {to}: the ending tells no form ({', '.join(ENDINGS)}); name it with --format")
    return found


def require_place(to: Path | None) -> None:
    """Raise `UserError` unless a file can be put there: known before the work, not after it."""
    if to is not None and not to.absolute().parent.is_dir():
        raise UserError(f"--to {to}: cannot be written: {to.parent} is not a folder")
    if to is not None and (to.is_dir() or not os.access(to.absolute().parent, os.W_OK)):
        raise UserError(f"--to {to}: cannot be written: {'it is a folder' if to.is_dir() else 'permission denied'}")


def show(sheet: Report, form: str | None, to: Path | None) -> None:
    """Print a table, or write it to a file, whose ending may tell the form. Raises `UserError`."""
    from attnbench.console import make_console
    from attnbench.runs.files import write_atomically
    from attnbench.tables.render import FORMATS as RENDERERS
    from attnbench.tables.render import terminal

    form = form_of(form, to)
    if to is None and form == "terminal":
        terminal.show(make_console(), sheet)
        return
    text = RENDERERS[form](sheet)
    if to is None:
        sys.stdout.write(text)
        return
    try:
        write_atomically(to, text)
    except OSError as error:
        raise UserError(f"--to {to}: cannot be written: {error.strerror or error}") from error
