"""A run's folder: where each thing lies, and in which state the run is."""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnbench.config.validate import RunConfig
from attnbench.runs.files import read_json, read_lines, write_atomically, write_json
from attnbench.runs.lock import owner_of

SCHEMA = 1
"""Version of `record.json`'s layout."""


@dataclass(frozen=True)
class Job:
    """One run to be done: its configuration, what it is, and where it lies. Plain data, so it can travel as a file."""

    config: RunConfig
    identity: str
    folder: Path

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    @property
    def again(self) -> bool:
        """Whether a finished run is set aside and trained anew."""
        return bool(self.config["run"]["again"])

    def save(self, path: Path) -> None:
        """Write the job as a file that `load` reads."""
        config = {"values": self.config.values, "choices": self.config.choices, "identity": self.config.identity}
        write_json(path, {"config": config, "identity": self.identity, "folder": str(self.folder)})

    @classmethod
    def load(cls, path: Path) -> "Job":
        """Read a job that `save` wrote."""
        content = read_json(path)
        if content is None:
            raise FileNotFoundError(f"{path}: no job there")
        return cls(RunConfig(**content["config"]), content["identity"], Path(content["folder"]))


class RunFolder:
    """Paths and small files of one run: `<output>/runs/<readable name>-<identity>/seed<k>`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_file = path / "record.json"
        self.metrics_file = path / "metrics.jsonl"
        self.config_file = path / "config.yaml"
        self.evaluations_file = path / "evaluations.json"
        self.log_file = path / "log.txt"
        self.last_checkpoint = path / "checkpoints" / "last.ckpt"
        self.best_checkpoint = path / "checkpoints" / "best.ckpt"

    def record(self) -> dict[str, Any] | None:
        """The record, or None if there is none yet."""
        return read_json(self.record_file)

    def finished(self) -> bool:
        """Whether the run is done."""
        record = self.record()
        return record is not None and record.get("status") == "finished"

    def state(self) -> str:
        """`running` while a live process owns the run, else what the record says; `new` without one.

        A record that says `running` without an owner is of a process that died: the run is `interrupted`.
        """
        if owner_of(self.path) is not None:
            return "running"
        record = self.record()
        if record is None:
            return "new"
        return "interrupted" if record["status"] == "running" else str(record["status"])

    def epochs(self) -> str:
        """Epochs done, of those to be done."""
        wanted = ((self.record() or {}).get("config") or {}).get("recipe", {}).get("epochs", "?")
        return f"{len(self.rows())}/{wanted}"

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace the record."""
        write_json(self.record_file, record)

    def rows(self) -> list[dict[str, Any]]:
        """One row of metrics per finished epoch."""
        return list(read_lines(self.metrics_file))

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Replace the metrics, as a resumed run repeats epochs that are not in its checkpoint."""
        write_atomically(self.metrics_file, "".join(json.dumps(row) + "\n" for row in rows))

    def set_aside(self) -> Path:
        """Move everything that lies in the folder to `aside/seed<k>-<n>` beside it; nothing is lost."""
        parent = self.path.parent / "aside"
        parent.mkdir(exist_ok=True)
        number = 1
        while (parent / f"{self.path.name}-{number}").exists():
            number += 1
        target = parent / f"{self.path.name}-{number}"
        target.mkdir()
        for entry in self.path.iterdir():
            if entry.name not in ("lock.json", ".lock"):  # the lock stays with its owner
                entry.rename(target / entry.name)
        return target


def find_runs(output: Path) -> list[RunFolder]:
    """All run folders under an output folder, those set aside left out."""
    pattern = "runs/*/seed*"
    return [RunFolder(path) for path in sorted(output.glob(pattern)) if path.is_dir()]


def as_typed(path: Path) -> str:
    """A path as a shell reads it: `shown`, in quotes where it holds spaces."""
    return shlex.quote(shown(path))


def shown(path: Path) -> str:
    """A path as the user would type it: relative to the current folder where it lies below."""
    absolute = path.absolute()
    try:
        return os.fspath(absolute.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(absolute)
