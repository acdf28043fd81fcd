"""A run's folder: the paths of its files, and the state of the run."""

import shutil
from pathlib import Path

from attnbench.errors import UserError
from attnbench.runs.epoch_rows import EpochRow, read_rows, write_rows
from attnbench.runs.files import as_typed, read_json, shown, write_json
from attnbench.runs.job import JOB_FILE, Job
from attnbench.runs.lock import LOCK_FILES, owner_of
from attnbench.runs.record import FinishedRecord, RunRecord

__all__ = ["Job", "RunFolder", "as_typed", "find_runs", "output_folder", "shown"]
ARCHIVE = "aside"
"""The folder, beside those of the seeds, of runs that were trained again."""


def output_folder(name: str) -> Path:
    """Return the folder of all runs that `output=` or `--output` names. Raises `UserError` if the name is empty."""
    if not name:  # an empty variable of a shell
        raise UserError("output=: names no folder; output=. is the current one")
    return Path(name).expanduser()


class RunFolder:
    """Paths and small files of one run: `<output>/runs/<readable name>-<identity>/seed<k>`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_file = path / "record.json"
        self.metrics_file = path / "metrics.jsonl"
        self.config_file = path / "config.yaml"
        self.evaluations_file = path / "evaluations.json"
        self.explanations_file = path / "explanations.json"
        self.log_file = path / "log.txt"
        self.job_file = path / JOB_FILE
        self.last_checkpoint = path / "checkpoints" / "last.ckpt"
        self.best_checkpoint = path / "checkpoints" / "best.ckpt"
        self.last_predictions = path / "predictions" / "last.npz"
        self.best_predictions = path / "predictions" / "best.npz"

    def record(self) -> RunRecord | None:
        """Return the record, or None if there is none yet. Raises `UserError` if it is damaged."""
        content = read_json(self.record_file)
        return None if content is None else RunRecord.from_json(content, self.record_file)

    def finished(self) -> bool:
        """Return whether the run is finished. Raises `UserError` if its record is damaged."""
        return isinstance(self.record(), FinishedRecord)

    def state(self) -> str:
        """Return the run's state: a record's status, or `running`, `new` (no record yet) or `damaged`.

        A record that says `running` is of a process that died, unless a live process owns the run: the run is
        `interrupted` then.
        """
        if owner_of(self.path) is not None:
            return "running"
        try:
            record = self.record()
        except UserError:
            return "damaged"
        if record is None:
            return "new"
        return "interrupted" if record.status == "running" else record.status

    def epochs(self) -> str:
        """Return the finished and the planned epochs, `3/10`, with a question mark for a number that is not known."""
        try:
            done = str(len(self.rows()))
        except UserError:
            done = "?"
        try:
            record = self.record()
        except UserError:
            record = None
        return f"{done}/{record.planned_epochs if record else '?'}"

    def write_record(self, record: RunRecord) -> None:
        """Replace the record."""
        write_json(self.record_file, record.to_json())

    def rows(self) -> list[EpochRow]:
        """Return one row of metrics for each finished epoch. Raises `UserError` if the file is damaged."""
        return read_rows(self.metrics_file)

    def write_rows(self, rows: list[EpochRow]) -> None:
        """Replace the metrics, as a resumed run repeats epochs that are not in its checkpoint."""
        write_rows(self.metrics_file, rows)

    def archive(self) -> Path:
        """Move the folder's content to `aside/seed<k>-<n>` beside it, and return that folder; nothing is lost.

        The lock and the job's file stay, and of the log, which the worker writes, a copy is moved.
        """
        parent = self.path.parent / ARCHIVE
        parent.mkdir(exist_ok=True)
        number = 1
        while (parent / f"{self.path.name}-{number}").exists():
            number += 1
        target = parent / f"{self.path.name}-{number}"
        target.mkdir()
        for entry in self.path.iterdir():
            if entry == self.log_file:
                shutil.copy2(entry, target)
            elif entry.name not in (*LOCK_FILES, JOB_FILE):
                entry.rename(target / entry.name)
        return target


def find_runs(output: Path) -> list[RunFolder]:
    """Return all run folders below an output folder, without archived ones."""
    return [RunFolder(path) for path in run_paths(output)]


def run_paths(output: Path) -> list[Path]:
    """Return the paths of all run folders below an output folder, without archived ones."""
    return [path for path in sorted(output.glob("runs/*/seed*")) if path.is_dir()]
