"""The records that tables read: of runs below an output folder, and those kept with a reproduced table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnbench.config.validate import RunConfig
from attnbench.runs.evaluations import read_evaluations
from attnbench.runs.files import parse_object, read_text, readable
from attnbench.runs.folder import RunFolder, find_runs, shown
from attnbench.runs.identity import identity
from attnbench.runs.metric_names import TRAIN_TOP1, VAL_TOP1
from attnbench.runs.record import FinishedRecord, RunRecord

Record = FinishedRecord
CURVES = (VAL_TOP1, TRAIN_TOP1)


@dataclass
class Records:
    """Finished runs by identity and seed. fingerprints: of the data, by choice. unfinished: states of the others."""

    runs: dict[tuple[str, int], Record] = field(default_factory=dict)
    fingerprints: dict[str, list[str]] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take in a finished run, unless it is known."""
        self.runs.setdefault((record.identity, record.seed), record)
        self._know(record)

    def add_unfinished(self, record: RunRecord, state: str) -> None:
        """Take in the state of a run that is not finished."""
        self.unfinished[record.identity, record.seed] = state
        self._know(record)

    def _know(self, record: RunRecord) -> None:
        if record.data is None:
            return
        known = self.fingerprints.setdefault(record.choices["data"], [])
        if record.data.fingerprint not in known:
            known.append(record.data.fingerprint)

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
    """All finished runs below an output folder, and those in a folder of kept results; damaged runs are left out."""
    records = Records()
    found = [(run, record) for run in find_runs(output) if (record := readable(run.record, None)) is not None]
    for record in [*(whole(run, one) for run, one in found if isinstance(one, FinishedRecord)), *read_kept(kept)]:
        records.add(record)
    for run, one in found:
        if not isinstance(one, FinishedRecord):
            records.add_unfinished(one, run.state())
    return records


def finished(runs: Sequence[RunFolder]) -> Iterator[Record]:
    """Records of the runs that are done, with their evaluations; damaged ones are left out, with a warning.

    Raises:
        UserError: the only run is damaged.
    """
    for run in runs:
        record = readable(run.record, None) if len(runs) > 1 else run.record()
        if isinstance(record, FinishedRecord):
            yield whole(run, record)


def whole(run: RunFolder, record: Record) -> Record:
    """A record with its evaluations and learning curve, as far as these can be read."""
    return replace(
        record,
        evaluations=readable(lambda: read_evaluations(run), {}),
        curve=readable(lambda: curve(run), []),
    )


def curve(run: RunFolder) -> list[tuple[int, float]]:
    """Epochs, and the accuracy on the validation images after each, or without any that on the training images."""
    rows = run.rows()
    known = next((name for name in CURVES if rows and rows[-1].metrics.get(name) is not None), "")
    return [(row.epoch, value) for row in rows if (value := row.metrics.get(known)) is not None]


def read_kept(folder: Path | None) -> list[Record]:
    """Records that were kept with a table. Raises `UserError` for a damaged file."""
    path = folder / "records.jsonl" if folder else None
    text = read_text(path) if path is not None else None
    if path is None or text is None:
        return []
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{shown(path)}, line {number}"
        record = RunRecord.from_json(parse_object(line, where), where) if line.strip() else None
        if isinstance(record, FinishedRecord):
            records.append(record)
    return records
