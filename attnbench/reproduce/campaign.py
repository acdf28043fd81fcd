"""A paper's table under a profile: its jobs, its results, and the folder in which they are kept."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from attnbench.config.compose import Composer
from attnbench.errors import UserError, nearest
from attnbench.runs.files import read_json, write_json
from attnbench.runs.folder import Job
from attnbench.tables.build_report import ReportBuilder
from attnbench.tables.cell_configs import CellConfig, cells_of, with_seed
from attnbench.tables.costs import CostComparison, costs_of
from attnbench.tables.load import load_profiles, load_table
from attnbench.tables.records import Record, gather
from attnbench.tables.report import Report
from attnbench.tables.spec import PaperTable, Profile
from attnbench.tables.values import Collector, Key, Result

CHANGES_NOTHING = ("output", "sweep.", "run.", "data.root", "data.workers", "data.cache", "logger")
"""Starts of overrides that do not make a table another one."""


@dataclass(frozen=True)
class TableReproduction:
    """A table, how it is run, and what was typed beside."""

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
        cells = cells_of(table, profiles[profile], extra, composer)
        return cls(table, profiles[profile], tuple(extra), cells, composer)

    @property
    def output(self) -> Path:
        """The folder that holds runs and kept results."""
        named = [line.partition("=")[2] for line in self.extra if line.startswith("output=")]
        return Path(named[-1] if named else "outputs").expanduser()

    @property
    def folder(self) -> Path:
        """Where results of this table under this profile, and what was typed beside, are kept."""
        changes = self.changes
        mark = f"-{hashlib.sha256(json.dumps(changes).encode()).hexdigest()[:8]}" if changes else ""
        return self.output / "reproduced" / self.table.name / f"{self.profile.name}{mark}"

    @property
    def changes(self) -> list[str]:
        """What was typed beside that makes the table another one."""
        return sorted(line for line in self.extra if not line.startswith(CHANGES_NOTHING))

    def jobs(self, seeds: Sequence[int]) -> tuple[dict[Key, list[Job]], list[str]]:
        """Jobs of each cell, and each mistake once. Checks all: builds every network without memory."""
        from attnbench.training.plan import plan

        jobs: dict[Key, list[Job]] = {}
        known: dict[str, Job] = {}
        refusals: list[str] = []
        for key, cell in self.cells.items():
            if cell.config is None:
                continue
            mark = json.dumps(cell.config.values, sort_keys=True)
            try:
                first = known.get(mark) or known.setdefault(mark, plan(with_seed(cell.config, seeds[0])))
            except UserError as error:
                if str(error) not in refusals:
                    refusals.append(str(error))
                continue
            jobs[key] = [_reseeded(first, seed) for seed in seeds]
        return jobs, refusals

    @cached_property
    def costs(self) -> dict[str, dict[str, CostComparison]]:
        """What every row costs."""
        return costs_of(self.table, self.cells)

    def results(self, identities: Mapping[Key, str] | None = None) -> dict[Key, Result]:
        """What the records below the output folder, and those kept, say of every cell."""
        records = gather(self.output, self.folder)
        return Collector(self.table, self.cells, records, self.composer, identities).results()

    def sheet(self, results: Mapping[Key, Result], method: str = "t") -> Report:
        """The table as it is shown. Counts, where claims can be judged, that they were looked at."""
        looks = self._look(results)
        return ReportBuilder(self.table, self.profile, results, self.costs, looks, method, self.changes).sheet()

    def _look(self, results: Mapping[Key, Result]) -> int:
        """On how many different sets of runs the claims have been judged, this one included."""
        runs = sorted({f"{record.identity}/{record.seed}" for record in records_in(results)})
        if not runs or not self.table.claims:
            return 1
        path = self.folder / "looks.json"
        seen: dict[str, Any] = read_json(path) or {}
        mark = hashlib.sha256(json.dumps(runs).encode()).hexdigest()[:16]
        if mark not in seen:
            seen[mark] = {"runs": len(runs)}
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, seen)
            except OSError as error:  # what others keep can be looked at all the same
                reason = error.strerror or error
                print(f"attnbench: {path}: cannot be written, this look is not counted: {reason}", file=sys.stderr)
        return len(seen)


def _reseeded(job: Job, seed: int) -> Job:
    return Job(with_seed(job.config, seed), job.identity, job.folder.parent / f"seed{seed}")


def records_in(results: Mapping[Key, Result]) -> Iterator[Record]:
    """The records behind results, each once."""
    seen: set[tuple[str, int]] = set()
    for result in results.values():
        for record in result.records.values():
            if (mark := (record.identity, record.seed)) not in seen:
                seen.add(mark)
                yield record
