"""A paper's table under a profile: its jobs, its results, and the folder in which they are archived."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from attnbench.config.compose import Composer
from attnbench.errors import UserError, nearest
from attnbench.runs.folder import Job
from attnbench.runs.record import RunRecord
from attnbench.tables.build_report import build_report
from attnbench.tables.report import Report
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.collector import Collector
from attnbench.tables.results.costs import CostComparison
from attnbench.tables.results.per_class_summary import read_summaries
from attnbench.tables.results.records import gather
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.cell_configs import CellConfig, compose_cells, with_seed
from attnbench.tables.spec.load import load_profiles, load_table
from attnbench.tables.spec.repeated_columns import merge_columns
from attnbench.tables.spec.table import PaperTable, Profile

IRRELEVANT = (
    "output", "sweep.", "run.", "data.root", "data.workers", "data.cache", "logger", "launch",
    "trainer.threads", "trainer.block_length", "trainer.progress", "trainer.compile",
)  # fmt: skip
"""Starts of overrides that do not change the results of a table."""


@dataclass(frozen=True)
class TableReproduction:
    """A paper's table, the profile that it is run under, and the user's overrides."""

    table: PaperTable
    profile: Profile
    extra: tuple[str, ...]
    cells: Mapping[Key, CellConfig]
    composer: Composer

    @classmethod
    def open(
        cls, name: str, profile: str, extra: Sequence[str] = (), config_dir: str | None = None
    ) -> "TableReproduction":
        """Read a table and compose its cells. Raises `UserError`."""
        table = load_table(name, config_dir)
        profiles = load_profiles(table, config_dir)
        if profile not in profiles:
            raise UserError(f"--profile {profile}: no such profile{nearest(profile, list(profiles))}"
                            f" ({', '.join(profiles)})")  # fmt: skip
        composer = Composer(config_dir)
        table, cells = merge_columns(table, compose_cells(table, profiles[profile], extra, composer))
        return cls(table, profiles[profile], tuple(extra), cells, composer)

    @property
    def output(self) -> Path:
        """The folder of runs and archived results."""
        values = [line.partition("=")[2] for line in self.extra if line.startswith("output=")]
        return Path(values[-1] if values else "outputs").expanduser()

    @property
    def folder(self) -> Path:
        """The folder in which the results of this table, profile and overrides are archived."""
        changes = self.changes
        suffix = f"-{hashlib.sha256(json.dumps(changes).encode()).hexdigest()[:8]}" if changes else ""
        return self.output / "reproduced" / self.table.name / f"{self.profile.name}{suffix}"

    @property
    def changes(self) -> list[str]:
        """The user's overrides that change the results of the table."""
        return sorted(line for line in self.extra if not line.startswith(IRRELEVANT))

    @property
    def skips_invalid(self) -> bool:
        """Whether cells that cannot be run are left out."""
        return any(cell.config["sweep"]["skip_invalid"] for cell in self.cells.values() if cell.config)

    def jobs(self, seeds: Sequence[int]) -> tuple[dict[Key, list[Job]], list[str]]:
        """Plan the jobs of every cell, and build each network on the meta device to check it.

        Returns:
            The jobs by cell, and the message of every mistake once.
        """
        from attnbench.training.plan import plan

        jobs: dict[Key, list[Job]] = {}
        planned: dict[str, Job] = {}
        mistakes: dict[str, None] = {}
        for key, cell in self.cells.items():
            if cell.config is None:
                continue
            content = json.dumps(cell.config.values, sort_keys=True)
            try:
                if content not in planned:
                    planned[content] = plan(with_seed(cell.config, seeds[0]))
            except UserError as error:
                mistakes[str(error)] = None
            else:
                jobs[key] = [planned[content].with_seed(seed) for seed in seeds]
                self._identities[key] = planned[content].identity
        return jobs, list(mistakes)

    @cached_property
    def costs(self) -> dict[str, dict[str, CostComparison]]:
        """The costs of every row, counted for its cell in the table's first column."""
        return {row: self._counted(row) for row in self.table.rows}

    def costs_beside(self, results: Mapping[Key, Result]) -> dict[str, dict[str, CostComparison]]:
        """Return the costs of every row: as its runs in the first column recorded them, else counted."""
        from attnbench.reproduce.costs import recorded_row

        first = next(iter(self.table.columns))
        records = {row: next(iter(results[row, first].records.values()), None) for row in self.table.rows}
        return {
            key: self._counted(key) if record is None else recorded_row(self.table.rows[key], record.costs)
            for key, record in records.items()
        }

    def _counted(self, row: str) -> dict[str, CostComparison]:
        from attnbench.reproduce.costs import compare_row

        if row not in self._counts:
            config = self.cells[row, next(iter(self.table.columns))].config
            self._counts[row] = compare_row(self.table.rows[row], config)
        return self._counts[row]

    @cached_property
    def _identities(self) -> dict[Key, str]:
        """The identities of the cells' runs, as far as these are planned."""
        return {}

    @cached_property
    def _counts(self) -> dict[str, dict[str, CostComparison]]:
        """Costs that were counted already, by row."""
        return {}

    def results(self) -> dict[Key, Result]:
        """Return the results of every cell, from the runs below the output folder and the archived records."""
        records = gather(self.output, self.folder, self.composer)
        return Collector(self.table, self.cells, records, self.composer, self._identities).results()

    def report(self, results: Mapping[Key, Result], method: str = "t") -> Report:
        """Build the report. `method` is that of the means' intervals, `t` or `bootstrap`."""
        summaries = read_summaries(self.folder)
        costs = self.costs_beside(results)
        inputs = ReportInputs(self.table, self.profile, results, costs, method, self.changes, summaries)
        return build_report(inputs)


def records_in(results: Mapping[Key, Result]) -> Iterator[RunRecord]:
    """Yield the records behind results, each once: of runs that finished, and of those that diverged."""
    seen: set[tuple[str, int]] = set()
    for result in results.values():
        for record in chain(result.records.values(), result.diverged.values()):
            if (run := (record.identity, record.seed)) not in seen:
                seen.add(run)
                yield record
