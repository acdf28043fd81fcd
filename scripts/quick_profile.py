"""Train one seed of every different network in the profile `quick`, and check that each learns.

python scripts/quick_profile.py                               # all tables: hours on 2 cores
python scripts/quick_profile.py bam/1b gated/fig4d            # some tables
python scripts/quick_profile.py bam/1b:base bam/1b:sum        # some rows
python scripts/quick_profile.py bam/1b recipe.lr=0.2          # under other settings

Prints the test accuracy of each network, and ends with status 1 if one is below three times chance.
"""

import sys
from collections.abc import Iterator, Sequence

from attnbench.reproduce.campaign import TableReproduction
from attnbench.runs.folder import Job
from attnbench.runs.metric_names import TEST_TOP1
from attnbench.tables.results.training_state import least_accuracy_of
from attnbench.tables.spec.load import load_table, table_files
from attnbench.training.train import train

TIMES_CHANCE = 3.0


def jobs_of(tables: Sequence[str], overrides: Sequence[str]) -> Iterator[tuple[str, Job]]:
    """Yield a job for each different network, with the first row that shows it."""
    seen = set()
    for name in tables:
        table, _, wanted = name.partition(":")
        jobs, mistakes = TableReproduction.open(table, "quick", overrides).jobs([0])
        if mistakes:
            raise SystemExit("\n".join(mistakes))
        for (row, _), (job,) in jobs.items():
            if wanted in ("", row) and job.folder not in seen:
                seen.add(job.folder)
                yield f"{table} {row}", job


def learns(row: str, job: Job) -> bool:
    """Train a network, unless it was trained before; print its accuracy and return whether it is above chance."""
    record = train(job)
    assert record is not None  # None is for further processes of a run on several devices
    accuracy = float(record.metrics[TEST_TOP1] or 0)
    enough = accuracy >= least_accuracy_of(record, TIMES_CHANCE)
    mark = "" if enough else "  below three times chance"
    print(f"{row:45} {100 * accuracy:5.1f} %  {record.wall_seconds:5.0f} s  {record.identity}{mark}", flush=True)
    return enough


def main(words: Sequence[str]) -> int:
    """Train what is missing; returns the exit status."""
    runnable = [table for table in sorted(table_files()) if not load_table(table).not_runnable]
    tables = [word for word in words if "=" not in word] or runnable
    jobs = jobs_of(tables, [word for word in words if "=" in word])
    failed = [row for row, job in jobs if not learns(row, job)]
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
