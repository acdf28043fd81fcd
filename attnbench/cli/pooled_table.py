"""attnbench table --pooled: does an attention help, by how much, at what cost? Over the blocks of any runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from attnbench.errors import UserError
from attnbench.tables.report import Report

PICTURES = (".png", ".svg", ".pdf")
"""Endings of files that hold the forest plot alone."""


def make_pooled_report(arguments: argparse.Namespace, words: Sequence[str]) -> Report:
    """Build the table of the named runs and kept tables. Raises `UserError`."""
    if not words:
        raise UserError("attnbench table --pooled: name kept tables (bam/1b), runs, or a folder of either")
    if arguments.bootstrap:
        raise UserError("--bootstrap: not for --pooled, whose intervals are those of its model")
    from attnbench.cli.arguments import split_words
    from attnbench.config.compose import Composer
    from attnbench.runs.metric_names import TOP1
    from attnbench.tables.columns import check_columns, choose_columns, names_in, split_names
    from attnbench.tables.pooled.report import pooled_report
    from attnbench.tables.pooled.sources import read_sources

    names, rest, output = split_words("table", words)
    if rest:
        raise UserError(f"{rest[0]}: a table of runs takes no overrides except output=DIR")
    composer = Composer(arguments.config_dir)
    sources = read_sources(names, output, arguments.profile, composer, arguments.config_dir)
    report = pooled_report(sources, arguments.rows, arguments.metric or TOP1, composer)
    columns = split_names(arguments.columns)
    check_columns(columns, names_in(report))
    return choose_columns(report, columns)


def is_picture(arguments: argparse.Namespace) -> bool:
    """Return whether the forest plot alone is asked for."""
    return bool(arguments.pooled and arguments.to and arguments.to.suffix in PICTURES and not arguments.format)


def save_picture(report: Report, path: Path) -> None:
    """Write the forest plot, if the report has one. Raises what `write_figure` raises."""
    from attnbench.tables.render.forest import save

    if report.forest is not None:
        save(report.forest, path)
