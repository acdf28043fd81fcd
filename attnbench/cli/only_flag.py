"""The flag --only of attnbench reproduce: a part of a table, by the keys of its rows and columns."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.errors import UserError
from attnbench.runs.folder import Job
from attnbench.tables.results.values import Key

if TYPE_CHECKING:
    from attnbench.reproduce.campaign import TableReproduction


def check_only(arguments: argparse.Namespace) -> None:
    """Check `--only` before networks are built, and replace it by the keys that it names. Raises `UserError`."""
    from attnbench.reproduce.choose_cells import choose_cells
    from attnbench.tables.columns import split_names
    from attnbench.tables.spec.load import load_table

    if arguments.only is None:  # an empty variable of a shell, which must not train the whole table, is refused
        return
    if arguments.until_decided:
        raise UserError(f"--only {arguments.only}: not with --until-decided, which chooses rows by their claims")
    arguments.only = split_names(arguments.only)
    choose_cells(load_table(arguments.table, arguments.config_dir), arguments.only)


def chosen_jobs(
    reproduction: "TableReproduction", jobs: dict[Key, list[Job]], only: Sequence[str] | None
) -> dict[Key, list[Job]]:
    """Return the jobs of the rows and columns of these keys, or all. Raises `UserError` if none of them can be run."""
    from attnbench.reproduce.choose_cells import choose_cells, jobs_of

    if only is None:
        return jobs
    chosen = jobs_of(jobs, choose_cells(reproduction.table, only))
    if not chosen:
        raise UserError(f"--only {','.join(only)}: nothing of {reproduction.table.name} that it names can be run")
    return chosen
