"""attnbench table: a paper's table, or a table of the user's runs, from records alone."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from attnbench.cli.arguments import is_name, split_words, wants_help
from attnbench.cli.help import TABLE
from attnbench.cli.parser import Parser, refuse
from attnbench.cli.pooled_table import PICTURES, is_picture, make_pooled_report, save_picture
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError, require_ending
from attnbench.exit_codes import DONE
from attnbench.tables.report import Report

FORMATS = {
    "terminal": ".txt",
    "markdown": ".md",
    "latex": ".tex",
    "csv": ".csv",
    "claims-csv": ".csv",
    "html": ".html",
}
"""Formats of tables, with the endings of their files."""
ENDINGS = {ending: name for name, ending in reversed(FORMATS.items())}
"""The format that an ending stands for; of two with the same one, the first."""


def main(words: Sequence[str]) -> int:
    """Print a table; returns the exit status."""
    if wants_help(words):
        print_help(TABLE)
        return DONE
    parser = Parser(prog="attnbench table", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--profile")
    parser.add_argument("--rows")
    parser.add_argument("--columns")
    parser.add_argument("--metric")
    parser.add_argument("--bootstrap", action="store_true")
    parser.add_argument("--pooled", action="store_true")
    add_output(parser)
    arguments = parser.parse_intermixed_args(words)
    check_columns_shown(arguments)
    if is_picture(arguments):
        refuse(arguments, ("columns",), f"the forest plot alone, in {arguments.to}, has no columns")
        check_writable(arguments.to)
        save_picture(make_report(arguments), arguments.to)
        return DONE
    check_output(arguments)
    show(make_report(arguments), arguments.format, arguments.to)
    return DONE


def check_names(name: str, columns: str | None, config_dir: str | None) -> list[str]:
    """Return the columns of a paper's table that `--columns` names. Raises `UserError` for one that it cannot have."""
    from attnbench.tables.columns import NAMES, check_columns, split_names
    from attnbench.tables.spec.load import load_table

    names = split_names(columns)
    if names:
        check_columns(names, [*load_table(name, config_dir).columns, *NAMES])
    return names


def add_output(parser: Parser) -> None:
    """Add the flags that choose the table's format and file."""
    parser.add_argument("--format", choices=tuple(FORMATS))
    parser.add_argument("--to", type=Path)
    parser.add_argument("-cd", "--config-dir")


def check_output(arguments: argparse.Namespace) -> None:
    """Check the flags of `add_output` before the work is done. Raises `UserError`."""
    chosen_format(arguments.format, arguments.to)
    check_writable(arguments.to)


def check_columns_shown(arguments: argparse.Namespace) -> None:
    """Raise `UserError` if `--columns` chooses columns of a format that has its own."""
    if arguments.format == "claims-csv":
        refuse(arguments, ("columns",), "the columns of claims-csv are always the same")


def make_report(arguments: argparse.Namespace) -> Report:
    """Build the table of a paper or of the user's runs, whichever is named. Raises `UserError`."""
    if arguments.pooled:
        return make_pooled_report(arguments, arguments.words)
    from attnbench.tables.spec.load import table_files

    names = [word for word in arguments.words if is_name(word)]
    overrides = [word for word in arguments.words if word not in names]
    if not names:
        raise UserError("attnbench table: name a table (attnbench list paper), or runs: a folder, a hash, a pattern")
    if names[0] not in table_files(arguments.config_dir):
        return _report_of_runs(arguments, names, overrides)
    return _report_of_paper(arguments, names, overrides)


def _report_of_paper(arguments: argparse.Namespace, names: Sequence[str], overrides: Sequence[str]) -> Report:
    for flag in ("rows", "metric"):
        if getattr(arguments, flag):
            raise UserError(f"--{flag}: {names[0]} has its own rows and metrics; the flag is for tables of runs")
    if names[1:]:
        raise UserError(f"{names[1]}: one table at a time")
    columns = check_names(names[0], arguments.columns, arguments.config_dir)
    from attnbench.reproduce.campaign import TableReproduction
    from attnbench.tables.columns import choose_columns

    reproduction = TableReproduction.open(names[0], arguments.profile or "paper", overrides, arguments.config_dir)
    return choose_columns(reproduction.report(reproduction.results(), _method(arguments)), columns)


def _report_of_runs(arguments: argparse.Namespace, names: Sequence[str], overrides: Sequence[str]) -> Report:
    from attnbench.runs.lookup import find
    from attnbench.tables.columns import NAMES, choose_columns, split_names
    from attnbench.tables.compare_runs import compare_runs
    from attnbench.tables.spec.load import hint, table_files

    if arguments.profile:
        raise UserError(f"--profile: {names[0]} is not a paper's table; attnbench list paper shows all")
    _, rest, output = split_words("table", [*names, *overrides])
    if rest:
        raise UserError(f"{rest[0]}: a table of runs takes no overrides except output=DIR")
    runs, mistakes = find(names, output)
    if mistakes:
        raise UserError(f"{mistakes[0]}{hint(names[0], list(table_files(arguments.config_dir)))}")
    columns = split_names(arguments.columns)
    shown, keys = ([name for name in columns if (name in NAMES) == is_shown] for is_shown in (True, False))
    method, folder = _method(arguments), arguments.config_dir
    report = compare_runs(runs, arguments.rows, ",".join(keys), arguments.metric, method, folder)
    return choose_columns(report, shown)


def _method(arguments: argparse.Namespace) -> str:
    return "bootstrap" if arguments.bootstrap else "t"


def chosen_format(name: str | None, to: Path | None) -> str:
    """Return the named format, otherwise that of the ending. Raises `UserError` if they disagree or name none."""
    chosen = name or (ENDINGS.get(to.suffix) if to else "terminal")
    if chosen is None:
        raise UserError(f"--to {to}: no format has this ending ({', '.join(ENDINGS)}); name one with --format")
    require_ending(to, chosen, FORMATS[chosen], (*ENDINGS, *PICTURES))
    return chosen


def check_writable(to: Path | None) -> None:
    """Raise `UserError` unless the file can be written."""
    if to is not None and not to.absolute().parent.is_dir():
        raise UserError(f"--to {to}: cannot be written: {to.parent} is not a folder")
    if to is not None and (to.is_dir() or not os.access(to.absolute().parent, os.W_OK)):
        raise UserError(f"--to {to}: cannot be written: {'it is a folder' if to.is_dir() else 'permission denied'}")


def show(report: Report, format_name: str | None, to: Path | None) -> None:
    """Print a table, or write it to a file. Raises what `write_atomically` raises."""
    from attnbench.console import make_console
    from attnbench.plain_text import plain
    from attnbench.runs.files import write_atomically
    from attnbench.tables.render import FORMATS as RENDERERS
    from attnbench.tables.render import terminal

    chosen = chosen_format(format_name, to)
    if to is None and chosen == "terminal":
        terminal.show(make_console(), report)
        return
    text = plain(RENDERERS[chosen](report), keep="\t\r\n")
    if to is None:
        sys.stdout.write(text)
        return
    write_atomically(to, text)
