"""The records that tables read: of runs below an output folder, and those kept with a reproduced table."""

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
NEEDED = (
    "identity", "seed", "choices", "config", "environment", "resolved", "data", "parameters", "multiply_adds"
)  # fmt: skip
CURVES = ("val/top1_accuracy", "train/top1_accuracy")


@dataclass
class Records:
    """Finished runs by identity and seed. fingerprints: of the data, by choice. unfinished: states of the others."""

    runs: dict[tuple[str, int], Record] = field(default_factory=dict)
    fingerprints: dict[str, list[str]] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take in a finished run, unless it is known."""
        self.runs.setdefault((record["identity"], int(record["seed"])), record)
        self._know(record)

    def add_unfinished(self, run: RunFolder) -> None:
        """Take in the state of a run that is not finished."""
        record = run.record() or {}
        if set(record) >= {"identity", "seed"}:
            self.unfinished[record["identity"], int(record["seed"])] = run.state()
        if "choices" in record and "data" in record:
            self._know(record)

    def _know(self, record: Record) -> None:
        known = self.fingerprints.setdefault(record["choices"]["data"], [])
        if (fingerprint := record["data"]["fingerprint"]) not in known:
            known.append(fingerprint)

    def of(self, config: RunConfig, identities: Iterable[str] = ()) -> dict[int, Record]:
        """Records of a configuration by seed, whatever the data lay at that they were trained on.

        identities: of the configuration, where they are known; runs that start from weights are found by them alone.
        """
        found: dict[int, Record] = {}
        for name in self._names(config, identities):
            for (known, seed), record in self.runs.items():
                if known == name:
                    found.setdefault(seed, record)
        return dict(sorted(found.items()))

    def states_of(self, config: RunConfig, identities: Iterable[str] = ()) -> dict[int, str]:
        """States of a configuration's runs that are not finished, by seed; of none that another place has finished."""
        names, done = self._names(config, identities), self.of(config, identities)
        found = {seed: state for (name, seed), state in self.unfinished.items() if name in names}
        return {seed: state for seed, state in sorted(found.items()) if seed not in done}

    def _names(self, config: RunConfig, identities: Iterable[str]) -> list[str]:
        prints = self.fingerprints.get(config.choices["data"], [])
        return list(dict.fromkeys([*identities, *(identity(config, fingerprint) for fingerprint in prints)]))


def gather(output: Path, kept: Path | None = None) -> Records:
    """All finished runs below an output folder, and those in a folder of kept results."""
    records, runs = Records(), find_runs(output)
    for record in [*finished(runs), *read_kept(kept)]:
        records.add(record)
    for run in runs:
        if not run.finished():
            records.add_unfinished(run)
    return records


def finished(runs: Sequence[RunFolder]) -> Iterator[Record]:
    """Records of the runs that are done, with their evaluations. Raises `UserError` for a damaged one."""
    for run in runs:
        record = run.record()
        if record is not None and record.get("status") == "finished":
            require_whole(record, run.record_file)
            yield {**record, "evaluations": read_json(run.evaluations_file) or {}, "curve": curve(run)}


def require_whole(record: Any, path: Path) -> None:
    """Raise `UserError` unless a record has what tables need of every one."""
    lacking = [key for key in NEEDED if not isinstance(record, dict) or key not in record]
    if lacking:
        raise UserError(f"{path}: damaged: a record lacks {', '.join(lacking)}; restore it, or move it away")


def curve(run: RunFolder) -> list[list[float]]:
    """Epochs, and the accuracy on the validation images after each, or without any that on the training images."""
    rows = run.rows()
    known = next((key for key in CURVES if rows and rows[-1].get(key) is not None), None)
    return [[row["epoch"], row[known]] for row in rows if row.get(known) is not None] if known else []


def read_kept(folder: Path | None) -> list[Record]:
    """Records that were kept with a table. Raises `UserError` for a damaged file."""
    path = folder / "records.jsonl" if folder else None
    if path is None or not path.is_file():
        return []
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or move it away") from None
    for record in records:
        require_whole(record, path)
    return records
