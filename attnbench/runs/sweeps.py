"""A sweep's folder, `<output>/sweeps/<id>`: which runs it has, where they are done, and who watches over them.

The folder is locked as a run's is: its owner is the process whose scheduler runs the sweep.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnbench.errors import UserError
from attnbench.runs.files import make_folder, read_json, readable, shown, write_json
from attnbench.runs.job import Job
from attnbench.runs.json_objects import JsonObject, between, read_object
from attnbench.runs.lock import Lock, RunLockedError
from attnbench.runs.owner import owner_of
from attnbench.runs.record_writer import now
from attnbench.runs.stop_request import stoppable

FOLDER = "sweeps"
ID_START = "s"
"""The start of every id, which no hash of a run has."""
LOCAL = "local"
logger = logging.getLogger("attnbench.runs")


@dataclass(frozen=True, kw_only=True)
class SweepRun(JsonObject):
    """A run of a sweep.

    folder: relative to the output folder, where the run is in it. name: by which the sweep tells its runs apart.
    epochs: planned. task: the number or name by which a cluster knows the job.
    """

    folder: str
    name: str
    epochs: int = field(metadata=between(1))
    task: str = ""


@dataclass(frozen=True, kw_only=True)
class SweepRecord(JsonObject):
    """The content of `sweep.json`. engine: that does the runs. address: of its cluster, where it has one."""

    engine: str
    address: str = ""
    started: str
    runs: list[SweepRun]


class SweepFolder:
    """The folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "sweep.json"

    @property
    def id(self) -> str:
        """The id, by which users name the sweep."""
        return self.path.name

    @property
    def output(self) -> Path:
        """The output folder, which holds the runs too."""
        return self.path.parent.parent

    def record(self) -> SweepRecord | None:
        """Return the record, or None if there is none. Raises `UserError` if it is damaged."""
        content = read_json(self.file)
        return None if content is None else read_object(SweepRecord, content, shown(self.file))

    def run_folder(self, run: SweepRun) -> Path:
        """Return the folder of one of the sweep's runs."""
        return self.output / run.folder  # an absolute folder stays as it is

    def begin(self, jobs: Sequence[Job], names: Sequence[str], engine: str, address: str = "") -> None:
        """Write the record of a sweep that begins. Tasks of an earlier beginning on the same engine stay known."""
        earlier = readable(self.record, None)
        known = earlier.runs if earlier is not None and earlier.engine == engine else []
        tasks = {run.folder: run.task for run in known}
        folders = [_relative(job.folder, self.output) for job in jobs]
        runs = [
            SweepRun(folder=folder, name=name, epochs=int(job.config["recipe"]["epochs"]), task=tasks.get(folder, ""))
            for job, name, folder in zip(jobs, names, folders, strict=True)
        ]
        make_folder(self.path)
        write_json(self.file, SweepRecord(engine=engine, address=address, started=now(), runs=runs).to_json())

    def note_tasks(self, tasks: Mapping[Path, str]) -> None:
        """Add to the record by which tasks a cluster does runs, given by the runs' folders."""
        record = self.record()
        if record is None:
            raise UserError(f"{shown(self.file)}: is gone, and with it which of the cluster's jobs does which run")
        runs = [replace(run, task=tasks.get(self.run_folder(run), run.task)) for run in record.runs]
        write_json(self.file, replace(record, runs=runs).to_json())

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the sweep while in the context, as far as possible: the runs do not depend on it.

        If another process owns it, both watch over the runs, and both heed requests to stop.
        """
        lock = Lock(self.path)
        try:
            lock.__enter__()
        except RunLockedError:
            with stoppable(self.path):
                yield
            return
        except (OSError, UserError) as error:
            logger.warning("attnbench status will not know that this sweep is under way: %s", error)
            yield
            return
        try:
            yield
        finally:
            lock.__exit__()

    def alive(self) -> bool:
        """Return whether a scheduler watches over the sweep."""
        return owner_of(self.path) is not None


def sweep_of(jobs: Sequence[Job]) -> SweepFolder:
    """Return the folder of the sweep that these jobs are; the same jobs are the same sweep."""
    output = jobs[0].folder.parents[2]
    folders = sorted(_relative(job.folder, output) for job in jobs)
    digest = hashlib.sha256("\n".join(folders).encode()).hexdigest()[:8]
    return SweepFolder(output / FOLDER / f"{ID_START}{digest}")


def find_sweeps(output: Path) -> list[SweepFolder]:
    """Return the sweeps of an output folder, the one that began last first."""
    files = [path for path in output.glob(f"{FOLDER}/{ID_START}*/sweep.json") if path.is_file()]
    return [SweepFolder(path.parent) for path in sorted(files, key=lambda path: -path.stat().st_mtime)]


def find_sweep(name: str, output: Path) -> SweepFolder | None:
    """Return the sweep whose id starts with a name, or None. Raises `UserError` if there are several."""
    found = [sweep for sweep in find_sweeps(output) if sweep.id.startswith(name)] if len(name) > 1 else []
    if len(found) > 1:
        raise UserError(f"{name}: {len(found)} sweeps have an id with this start: {', '.join(s.id for s in found)}")
    return found[0] if found else None


def _relative(folder: Path, output: Path) -> str:
    try:
        return folder.relative_to(output).as_posix()
    except ValueError:  # a sweep over several output folders
        return os.fspath(folder)
