"""The records that tables read: of runs below an output folder, and those archived with a reproduced table."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.runs.evaluations import read_evaluations
from attnbench.runs.explanations import read_explanations
from attnbench.runs.files import damaged, parse_object, read_text, readable
from attnbench.runs.folder import RunFolder, find_runs, shown
from attnbench.runs.identity import identity, identity_by_path, identity_today, weights_by_path
from attnbench.runs.metric_names import MAP50, TRAIN_TOP1, VAL, VAL_TOP1, metric_name
from attnbench.runs.record import IDENTITY_SCHEME, AnyRecord, FinishedRecord, RunRecord

Record = FinishedRecord
DIVERGED = "diverged"
"""The state of a run whose loss or weights were not finite."""
RECORDS_FILE = "records.jsonl"
CURVES = (VAL_TOP1, TRAIN_TOP1, metric_name(VAL, MAP50))
"""Metrics that a learning curve may show, the preferred one first."""
Value = TypeVar("Value")


@dataclass
class Records:
    """Runs that tables may show.

    Attributes:
        runs: records of finished runs, by identity and seed.
        diverged: records of runs whose training diverged, by identity and seed.
        by_path: seeds by identity of those that started from a file of weights, by what stands for their identity
            without that file.
        fingerprints: of the data that runs were trained on, by choice of data.
        unfinished: states of the other runs, by identity and seed.
    """

    runs: dict[tuple[str, int], Record] = field(default_factory=dict)
    diverged: dict[tuple[str, int], RunRecord] = field(default_factory=dict)
    by_path: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    fingerprints: dict[str, list[str]] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, record: RunRecord) -> None:
        """Add a run that finished or diverged, unless it is already there."""
        run = (record.identity, record.seed)
        if isinstance(record, FinishedRecord):
            self.runs.setdefault(run, record)
        elif run not in self.unfinished:
            self.diverged.setdefault(run, record)
        self._add_fingerprint(record)

    def add_by_path(self, record: RunRecord, composer: Composer) -> None:
        """Let a run that started from a file of weights be found where that file is not at hand."""
        if record.data is not None and record.config.get("backbone", {}).get("weights"):
            name = identity_by_path(composer, record.choices, record.config, record.data.fingerprint)
            if name is not None:
                self.by_path.setdefault(name, {}).setdefault(record.identity, set()).add(record.seed)

    def add_findable(self, record: RunRecord, composer: Composer) -> None:
        """Add a run under the identity of today and, if it started from weights, by their path."""
        current = with_current_identity(record, composer)
        self.add(current)
        self.add_by_path(current, composer)

    def add_unfinished(self, record: RunRecord, state: str) -> None:
        """Add the state of a run that is neither finished nor diverged."""
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
        return _of_names(self.runs, self._names(config, identities))

    def find_diverged(self, config: RunConfig, identities: Collection[str] = ()) -> dict[int, RunRecord]:
        """Return the runs of a configuration whose training diverged, as `find` does; without seeds that finished."""
        return self._without_finished(self.diverged, config, identities)

    def unfinished_states(self, config: RunConfig, identities: Collection[str] = ()) -> dict[int, str]:
        """Return the states of a configuration's unfinished runs by seed, without seeds that have a finished run."""
        return self._without_finished(self.unfinished, config, identities)

    def _without_finished(
        self, runs: Mapping[tuple[str, int], Value], config: RunConfig, identities: Collection[str]
    ) -> dict[int, Value]:
        names = self._names(config, identities)
        finished_seeds = _of_names(self.runs, names)
        return {seed: value for seed, value in _of_names(runs, names).items() if seed not in finished_seeds}

    def _names(self, config: RunConfig, identities: Collection[str]) -> list[str]:
        """Return the identities of a configuration's runs: by its data, otherwise by the path of its weights."""
        names = self._identities(config, identities)
        known = {name for name, _ in (*self.runs, *self.diverged, *self.unfinished)}
        if identities or known.intersection(names):
            return names
        files = {name: seeds for path in names for name, seeds in self.by_path.get(path, {}).items()}
        return [max(files, key=lambda name: len(files[name]))] if files else names

    def _identities(self, config: RunConfig, identities: Iterable[str]) -> list[str]:
        """Return the identities that a configuration may have, one for each fingerprint of its data."""
        fingerprints = self.fingerprints.get(config.choices["data"], [])
        weights = weights_by_path(config)
        by_data = (identity(config, fingerprint, weights) for fingerprint in fingerprints)
        return list(dict.fromkeys([*identities, *by_data]))


def _of_names(runs: Mapping[tuple[str, int], Value], names: Sequence[str]) -> dict[int, Value]:
    """Return what is known of the runs under these identities by seed; the first identity comes first."""
    found: dict[int, Value] = {}
    for name in names:
        for (known, seed), value in runs.items():
            if known == name:
                found.setdefault(seed, value)
    return dict(sorted(found.items()))


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
        elif (state := run.state()) == DIVERGED:
            records.add_findable(record, composer)
        else:
            records.add_unfinished(record, state)
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
        elif record is not None and record.status == DIVERGED:
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


def with_current_identity(record: AnyRecord, composer: Composer) -> AnyRecord:
    """Return a record with the identity that its configuration has today, if the record is enough to compute it."""
    if record.identity_scheme == IDENTITY_SCHEME or record.data is None:
        return record
    current = identity_today(composer, record.choices, record.config, record.data.fingerprint)
    return replace(record, identity=current, identity_scheme=IDENTITY_SCHEME) if current else record


def read_archived(folder: Path) -> list[RunRecord]:
    """Return the records that were archived with a table. Raises `UserError` for a damaged file.

    They are of runs that finished, or diverged: without the latter, a table would show what the others reached.
    """
    path = folder / RECORDS_FILE
    records = []
    for number, line in enumerate((read_text(path) or "").split("\n"), 1):
        where = f"{shown(path)}, line {number}"
        record = RunRecord.from_json(parse_object(line, where), where) if line.strip() else None
        if record is not None and record.status in ("finished", DIVERGED):
            records.append(record)
    return records
