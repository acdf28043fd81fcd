"""The records that tables read: of runs below an output folder, and those archived with a reproduced table."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.files import read_json
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.identity import identity

Record = dict[str, Any]
RECORDS_FILE = "records.jsonl"
NEEDED = (
    "identity", "seed", "choices", "config", "environment", "resolved", "data", "parameters", "multiply_adds"
)  # fmt: skip
"""Keys that tables read of every record."""
CURVES = ("val/top1_accuracy", "train/top1_accuracy")
"""Metrics that a learning curve may show, the preferred one first."""


@dataclass
class Records:
    """Runs that tables may show.

    Attributes:
        runs: records of finished runs, by identity and seed.
        fingerprints: of the data that runs were trained on, by choice of data.
        unfinished: states of the other runs, by identity and seed.
    """

    runs: dict[tuple[str, int], Record] = field(default_factory=dict)
    fingerprints: dict[str, list[str]] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Add a finished run, unless it is already there."""
        self.runs.setdefault((record["identity"], int(record["seed"])), record)
        self._add_fingerprint(record)

    def add_unfinished(self, run: RunFolder) -> None:
        """Add the state of a run that is not finished."""
        record = run.record() or {}
        if set(record) >= {"identity", "seed"}:
            self.unfinished[record["identity"], int(record["seed"])] = run.state()
        if "choices" in record and "data" in record:
            self._add_fingerprint(record)

    def _add_fingerprint(self, record: Record) -> None:
        known = self.fingerprints.setdefault(record["choices"]["data"], [])
        if (fingerprint := record["data"]["fingerprint"]) not in known:
            known.append(fingerprint)

    def find(self, config: RunConfig, identities: Iterable[str] = ()) -> dict[int, Record]:
        """Return the finished runs of a configuration by seed, wherever their data is.

        Args:
            config: any seed's.
            identities: of the configuration, where they are known; needed only for runs that start from weights.
        """
        found: dict[int, Record] = {}
        for name in self._identities(config, identities):
            for (known, seed), record in self.runs.items():
                if known == name:
                    found.setdefault(seed, record)
        return dict(sorted(found.items()))

    def unfinished_states(self, config: RunConfig, identities: Iterable[str] = ()) -> dict[int, str]:
        """Return the states of a configuration's unfinished runs by seed, without seeds that have a finished run."""
        names, finished_seeds = self._identities(config, identities), self.find(config, identities)
        states = {seed: state for (name, seed), state in self.unfinished.items() if name in names}
        return {seed: state for seed, state in sorted(states.items()) if seed not in finished_seeds}

    def _identities(self, config: RunConfig, identities: Iterable[str]) -> list[str]:
        """Return the identities that a configuration may have, one for each fingerprint of its data."""
        fingerprints = self.fingerprints.get(config.choices["data"], [])
        return list(dict.fromkeys([*identities, *(identity(config, fingerprint) for fingerprint in fingerprints)]))


def gather(output: Path, archive: Path | None = None) -> Records:
    """Read all runs below an output folder, and the records in a folder of archived results."""
    records, runs = Records(), find_runs(output)
    for record in [*finished(runs), *read_archived(archive)]:
        records.add(record)
    for run in runs:
        if not run.finished():
            records.add_unfinished(run)
    return records


def finished(runs: Sequence[RunFolder]) -> Iterator[Record]:
    """Yield the records of finished runs, with their evaluations and learning curves.

    Raises:
        UserError: a record is damaged.
    """
    for run in runs:
        record = run.record()
        if record is not None and record.get("status") == "finished":
            check_complete(record, run.record_file)
            yield {**record, "evaluations": read_json(run.evaluations_file) or {}, "curve": learning_curve(run)}


def check_complete(record: Any, path: Path) -> None:
    """Raise `UserError` unless a record has all keys that tables read."""
    missing = [key for key in NEEDED if not isinstance(record, dict) or key not in record]
    if missing:
        raise UserError(f"{path}: damaged: a record lacks {', '.join(missing)}; restore it, or move it away")


def learning_curve(run: RunFolder) -> list[list[float]]:
    """Return pairs of epoch and accuracy, on the validation images if there are any, else on the training images."""
    rows = run.rows()
    metric = next((key for key in CURVES if rows and rows[-1].get(key) is not None), None)
    return [[row["epoch"], row[metric]] for row in rows if row.get(metric) is not None] if metric else []


def read_archived(folder: Path | None) -> list[Record]:
    """Return the records that were archived with a table. Raises `UserError` for a damaged file."""
    path = folder / RECORDS_FILE if folder else None
    if path is None or not path.is_file():
        return []
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or move it away") from None
    for record in records:
        check_complete(record, path)
    return records
