"""The records that tables read: of runs below an output folder, and those archived with a reproduced table."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.runs.evaluations import read_evaluations
from attnbench.runs.explanations import read_explanations
from attnbench.runs.files import damaged, parse_object, read_text, readable
from attnbench.runs.folder import RunFolder, find_runs, shown
from attnbench.runs.identity import identity, identity_by_path, identity_today, weights_by_path
from attnbench.runs.metric_names import MAP50, TRAIN_TOP1, VAL, VAL_TOP1, metric_name
from attnbench.runs.record import IDENTITY_SCHEME, FinishedRecord, RunRecord

Record = FinishedRecord
RECORDS_FILE = "records.jsonl"
CURVES = (VAL_TOP1, TRAIN_TOP1, metric_name(VAL, MAP50))
"""Metrics that a learning curve may show, the preferred one first."""


@dataclass
class Records:
    """Runs that tables may show.

    Attributes:
        runs: records of finished runs, by identity and seed.
        by_path: of those that started from a file of weights, by what stands for their identity without that file.
        fingerprints: of the data that runs were trained on, by choice of data.
        unfinished: states of the other runs, by identity and seed.
    """

    runs: dict[tuple[str, int], Record] = field(default_factory=dict)
    by_path: dict[str, list[Record]] = field(default_factory=dict)
    fingerprints: dict[str, list[str]] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Add a finished run, unless it is already there."""
        self.runs.setdefault((record.identity, record.seed), record)
        self._add_fingerprint(record)

    def add_by_path(self, record: Record, composer: Composer) -> None:
        """Let a run that started from a file of weights be found where that file is not at hand."""
        if record.config.get("backbone", {}).get("weights"):
            name = identity_by_path(composer, record.choices, record.config, record.data.fingerprint)
            if name is not None:
                self.by_path.setdefault(name, []).append(record)

    def add_findable(self, record: Record, composer: Composer) -> None:
        """Add a finished run under the identity of today and, if it started from weights, by their path."""
        self.add(with_current_identity(record, composer))
        self.add_by_path(record, composer)

    def add_unfinished(self, record: RunRecord, state: str) -> None:
        """Add the state of a run that is not finished."""
        self.unfinished[record.identity, record.seed] = state
        self._add_fingerprint(record)

    def _add_fingerprint(self, record: RunRecord) -> None:
        if record.data is None:
            return
        known = self.fingerprints.setdefault(record.choices["data"], [])
        if record.data.fingerprint not in known:
            known.append(record.data.fingerprint)

    def find(self, config: RunConfig, identities: Collection[str] = ()) -> dict[int, Record]:
        """Return the finished runs of a configuration by seed, wherever their data is.

        Args:
            config: any seed's.
            identities: of the configuration, where they are known. Without them, runs that start from weights are found
                by the path of these. If the file there was another one at some time, the runs of that file are taken of
                which there are most: runs of different weights are not compared.
        """
        found: dict[int, Record] = {}
        names = self._identities(config, identities)
        for name in names:
            for (known, seed), record in self.runs.items():
                if known == name:
                    found.setdefault(seed, record)
        return dict(sorted((found or ({} if identities else self._of_one_file(names))).items()))

    def _of_one_file(self, names: Iterable[str]) -> dict[int, Record]:
        """Return the runs under these names by path that started from one file of weights, as many as there are."""
        files: dict[str, dict[int, Record]] = {}
        for record in chain.from_iterable(self.by_path.get(name, ()) for name in names):
            files.setdefault(record.identity, {}).setdefault(record.seed, record)
        return max(files.values(), key=len, default={})

    def unfinished_states(self, config: RunConfig, identities: Collection[str] = ()) -> dict[int, str]:
        """Return the states of a configuration's unfinished runs by seed, without seeds that have a finished run."""
        names, finished_seeds = self._identities(config, identities), self.find(config, identities)
        states = {seed: state for (name, seed), state in self.unfinished.items() if name in names}
        return {seed: state for seed, state in sorted(states.items()) if seed not in finished_seeds}

    def _identities(self, config: RunConfig, identities: Iterable[str]) -> list[str]:
        """Return the identities that a configuration may have, one for each fingerprint of its data."""
        fingerprints = self.fingerprints.get(config.choices["data"], [])
        weights = weights_by_path(config)
        by_data = (identity(config, fingerprint, weights) for fingerprint in fingerprints)
        return list(dict.fromkeys([*identities, *by_data]))


def gather(output: Path, archive: Path, composer: Composer) -> Records:
    """Read all runs below an output folder, and the records in a folder of archived results.

    Damaged runs are left out with a warning. Records of an earlier scheme of identities get the identity of today.

    Raises:
        UserError: an archived record is damaged.
    """
    records = Records()
    runs = [(run, record) for run in find_runs(output) if (record := readable(run.record, None)) is not None]
    for run, record in runs:
        if isinstance(record, FinishedRecord):
            records.add_findable(complete(run, record), composer)
        else:
            records.add_unfinished(record, run.state())
    for record in read_archived(archive):
        records.add_findable(record, composer)
    return records


def ended(runs: Sequence[RunFolder]) -> Iterator[RunRecord]:
    """Yield the records of runs that finished, with their evaluations and learning curves, or diverged.

    Damaged records are left out with a warning.

    Raises:
        UserError: the only run is damaged.
    """
    for run in runs:
        record = readable(run.record, None) if len(runs) > 1 else run.record()
        if isinstance(record, FinishedRecord):
            yield complete(run, record)
        elif record is not None and record.status == "diverged":
            yield record


def finished(runs: Sequence[RunFolder]) -> Iterator[Record]:
    """Yield the records of finished runs, as `ended` does."""
    return (record for record in ended(runs) if isinstance(record, FinishedRecord))


def complete(run: RunFolder, record: Record) -> Record:
    """Return a record with its evaluations, explanations, learning curve and predictions, as far as readable."""
    return replace(
        record,
        evaluations=readable(lambda: read_evaluations(run), {}),
        explanations=readable(lambda: read_explanations(run), {}),
        curve=readable(lambda: learning_curve(run, record), []),
        predictions=run.last_predictions,
    )


def learning_curve(run: RunFolder, record: Record) -> list[tuple[int, float]]:
    """Return pairs of epoch and accuracy, on the validation images if there are any, else on the training images.

    Raises:
        UserError: the file of metrics is damaged, or is not of the record's run.
    """
    if not os.path.lexists(run.metrics_file):
        return []
    rows = run.rows()
    if (last := rows[-1].images if rows else 0) != record.images or len(rows) != record.epochs:
        here, there = (f"{epochs} epochs of {images} images" for epochs, images in
                       ((len(rows), last), (record.epochs, record.images)))  # fmt: skip
        raise damaged(shown(run.metrics_file), f"it has {here}, and the record {there}")
    metric = next((name for name in CURVES if rows and rows[-1].metrics.get(name) is not None), "")
    return [(row.epoch, value) for row in rows if (value := row.metrics.get(metric)) is not None]


def with_current_identity(record: Record, composer: Composer) -> Record:
    """Return a record with the identity that its configuration has today, if the record is enough to compute it."""
    if record.identity_scheme == IDENTITY_SCHEME:
        return record
    current = identity_today(composer, record.choices, record.config, record.data.fingerprint)
    return replace(record, identity=current, identity_scheme=IDENTITY_SCHEME) if current else record


def read_archived(folder: Path) -> list[Record]:
    """Return the records that were archived with a table. Raises `UserError` for a damaged file."""
    path = folder / RECORDS_FILE
    records = []
    for number, line in enumerate((read_text(path) or "").split("\n"), 1):
        where = f"{shown(path)}, line {number}"
        record = RunRecord.from_json(parse_object(line, where), where) if line.strip() else None
        if isinstance(record, FinishedRecord):
            records.append(record)
    return records
