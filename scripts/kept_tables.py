"""Render every table kept in `outputs/reproduced` again, from its records: after a change of wording or formats.

python scripts/kept_tables.py               # nothing is trained; records get the identities of today
"""

import logging
from collections.abc import Iterator

from attnbench.reproduce.archive import archive_results, update_identities
from attnbench.reproduce.campaign import TableReproduction
from attnbench.tables.results.records import RECORDS_FILE
from attnbench.tables.spec.load import load_profiles, load_table, table_files

log = logging.getLogger("attnbench")


def kept_with_claims(profile: str) -> Iterator[TableReproduction]:
    """Yield the tables that make claims and are kept under a profile, in the order of their names."""
    for name in sorted(table_files()):
        reproduction = TableReproduction.open(name, profile)
        if (reproduction.folder / RECORDS_FILE).is_file() and reproduction.table.claims:
            yield reproduction


def render_again(name: str, profile: str) -> None:
    """Render a table from its kept records, if there are any."""
    reproduction = TableReproduction.open(name, profile)
    if not (reproduction.folder / RECORDS_FILE).is_file():
        return
    changed = update_identities(reproduction)
    results = reproduction.results()
    archive_results(reproduction, results, reproduction.report(results))
    log.info("%s: %d new identities", reproduction.folder, changed)


def main() -> None:
    """Render the kept tables of all profiles."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in sorted(table_files()):
        for profile in load_profiles(load_table(name)):
            render_again(name, profile)


if __name__ == "__main__":
    main()
