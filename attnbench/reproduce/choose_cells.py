"""A part of a table, chosen by the keys of rows and columns: `--only attention92,resnet164,c10`."""

from collections.abc import Collection, Mapping, Sequence

from attnbench.errors import UserError, nearest
from attnbench.runs.folder import Job
from attnbench.tables.results.values import Key
from attnbench.tables.spec.table import PaperTable


def choose_cells(table: PaperTable, names: Sequence[str]) -> set[Key]:
    """Return the cells, as row and column, whose row and column are both chosen.

    Args:
        table: of which a part is wanted.
        names: keys of rows and of columns, in any order. Without a row all rows are chosen, and without a column all
            columns.

    Raises:
        UserError: neither a row nor a column has that key.
    """
    for name in names:
        if name not in table.rows and name not in table.columns:
            raise UserError(
                f"--only {name}: {table.name} has no such row or column{nearest(name, [*table.rows, *table.columns])}"
                f" (rows: {', '.join(table.rows)}; columns: {', '.join(table.columns)})"
            )
    rows, columns = _named(table.rows, names), _named(table.columns, names)
    return {(row, column) for row in rows for column in columns}


def _named(keys: Collection[str], names: Sequence[str]) -> list[str]:
    """Return the keys that are named, all of them if none is."""
    return [key for key in keys if key in names] or list(keys)


def jobs_of(jobs: Mapping[Key, list[Job]], chosen: Collection[Key]) -> dict[Key, list[Job]]:
    """Return the jobs of the chosen cells."""
    return {key: cell_jobs for key, cell_jobs in jobs.items() if key in chosen}
