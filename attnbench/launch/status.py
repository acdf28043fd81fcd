"""The state of sweeps and runs as anyone can see it: from records, locks and the queues of clusters.

Ten thousand runs are looked at in a second, so records are read without the checks of every field.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from attnbench.errors import UserError
from attnbench.launch.queues import queue_of
from attnbench.launch.scheduler import last_line
from attnbench.runs.files import read_json, readable, shown
from attnbench.runs.folder import RunFolder, run_paths
from attnbench.runs.metric_names import EPOCH, IMAGES_PER_SECOND
from attnbench.runs.owner import owner_of
from attnbench.runs.sweeps import SweepFolder, SweepRecord, find_sweeps

WORDS = {
    "running": "running",
    "failed": "failed",
    "diverged": "diverged",
    "damaged": "damaged",
    "interrupted": "interrupted",
    "waiting": "waiting",
    "new": "not started",
    "finished": "done",
}
"""Words for the states of runs, in the order in which they are shown. An interrupted run waits while a scheduler or a
queue will come to it."""
OPEN = ("running", "waiting")
RESUMABLE = ("new", "interrupted", "failed")
"""States of a run's folder that a queued job will change."""
AS_ASKED = ("COMPLETED", "CANCELLED")
"""Endings of a cluster's job that are no failure of it."""


@dataclass(frozen=True)
class RunStatus:
    """A run as it is now.

    Attributes:
        folder: of the run.
        name: by which its sweep tells its runs apart.
        state: one of `WORDS`.
        epochs: finished ones; None if unknown.
        planned: epochs that the recipe asks for; None if unknown.
        images_per_second: of training.
        seconds_left: of training, by the mean time of its epochs.
        reason: why it failed, or what it waits for.
    """

    folder: Path
    name: str
    state: str
    epochs: int | None = None
    planned: int | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    reason: str = ""

    @property
    def epochs_left(self) -> int:
        """Planned epochs that are not finished; 0 where the plan is unknown."""
        return max(0, (self.planned or 0) - (self.epochs or 0))


@dataclass(frozen=True)
class SweepStatus:
    """A sweep as it is now. sweep: None for runs that no sweep names. alive: whether a scheduler watches over it."""

    sweep: SweepFolder | None
    record: SweepRecord | None
    alive: bool
    runs: list[RunStatus]

    def to_json(self) -> dict[str, Any]:
        """Return the sweep and its runs as plain data."""
        of_sweep = (
            {"sweep": self.sweep.id, "engine": self.record.engine, "started": self.record.started, "alive": self.alive}
            if self.sweep is not None and self.record is not None
            else {"sweep": None}
        )
        runs = [{**asdict(run), "folder": shown(run.folder)} for run in self.runs]
        return {**of_sweep, "counts": self.counts, "seconds_left": self.seconds_left, "runs": runs}

    @property
    def counts(self) -> dict[str, int]:
        """The number of runs by state, in the order of `WORDS`."""
        counts = Counter(run.state for run in self.runs)
        return {state: counts[state] for state in WORDS if counts[state]}

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the time until all runs are done; None unless runs are under way whose speed is known."""
        running = [run for run in self.runs if run.state == "running"]
        known = [run for run in running if run.seconds_left is not None]
        rates = [(run.seconds_left or 0.0) / run.epochs_left for run in known if run.epochs_left]
        if not rates:
            return None
        unknown = (run for run in self.runs if run.state in OPEN and run.seconds_left is None)
        epochs = sum(run.epochs_left for run in unknown)
        return (sum(run.seconds_left or 0.0 for run in known) + epochs * fmean(rates)) / len(running)


def status_of_sweep(sweep: SweepFolder) -> SweepStatus:
    """Look at the runs of a sweep. Raises `UserError` if its record is damaged."""
    record = sweep.record()
    if record is None:
        raise UserError(f"{sweep.path}: there is no sweep")
    alive = sweep.alive()
    since = record.started if alive else ""
    runs = [look(sweep.run_folder(run), run.name, run.epochs, since) for run in record.runs]
    names = [run.task for run in record.runs]
    unclear = [task for run, task in zip(runs, names, strict=True) if task and run.state in RESUMABLE]
    queued = _ask_queue(record, unclear, alive) if unclear else _Queued()
    runs = [_in_queue(run, task, alive, queued) for run, task in zip(runs, names, strict=True)]
    return SweepStatus(sweep, record, alive, runs)


def status_of_output(output: Path) -> list[SweepStatus]:
    """Look at all sweeps of an output folder, the last one first, and at the runs that no sweep names.

    A run of several sweeps is one of the last of them.
    """
    seen: set[Path] = set()
    found = []
    for sweep in find_sweeps(output):
        status = readable(lambda sweep=sweep: status_of_sweep(sweep), None)  # type: ignore[misc]
        if status is not None:
            runs = [run for run in status.runs if run.folder not in seen]
            seen.update(run.folder for run in runs)
            found.append(replace(status, runs=runs))
    others = [path for path in run_paths(output) if path not in seen]
    if others:
        found.append(SweepStatus(None, None, False, [look(path) for path in others]))
    return found


@dataclass(frozen=True)
class _Queued:
    """What a queue says. waits: what open jobs wait for. ended: how others did. unknown: why it cannot be asked."""

    waits: Mapping[str, str] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""


def _ask_queue(record: SweepRecord, tasks: Sequence[str], alive: bool) -> _Queued:
    """Ask a sweep's queue about jobs; how they ended only if no scheduler will come to them."""
    queue = queue_of(record)
    if queue is None:
        return _Queued()
    try:
        waits = queue.open_tasks()
        left = [] if alive else [task for task in dict.fromkeys(tasks) if task not in waits]
        return _Queued(waits, queue.endings(left) if left else {})
    except UserError as error:
        return _Queued(unknown=str(error))


def _in_queue(run: RunStatus, task: str, alive: bool, queued: _Queued) -> RunStatus:
    """Return a run of a sweep as its queue and its scheduler see it.

    Args:
        run: as its folder shows it.
        task: by which the queue knows it; empty without one.
        alive: whether a scheduler will come to it.
        queued: what the queue says.
    """
    if run.state not in RESUMABLE:
        return run
    if task in queued.waits:
        return replace(run, state="waiting" if queued.waits[task] else "running", reason=queued.waits[task])
    if alive and run.state != "failed":
        return replace(run, state="waiting")
    ending = queued.ended.get(task, "")
    if ending and ending not in AS_ASKED:
        return replace(run, state="failed", reason=run.reason or f"the cluster's job {task}: {ending.lower()}")
    return replace(run, reason=run.reason or (queued.unknown if task else ""))


def look(folder: Path, name: str = "", planned: int | None = None, since: str = "") -> RunStatus:
    """Look at one run.

    Args:
        folder: of the run.
        name: of the run; by default its folder's.
        planned: epochs, where there is no record yet.
        since: a time (ISO 8601, UTC); a failure that was recorded before is forgotten, as the run is done again.
    """
    status = RunStatus(folder, name or f"{folder.parent.name}/{folder.name}", "new", planned=planned)
    owner = owner_of(folder)
    try:
        record = read_json(folder / "record.json") or {}
    except UserError as error:
        return replace(status, state="running" if owner else "damaged", reason="" if owner else str(error))
    status = replace(status, planned=_planned(record) or planned)
    if owner is not None:
        speed = _number(owner.progress, IMAGES_PER_SECOND)
        return _with_rows(replace(status, state="running", images_per_second=speed), _number(owner.progress, EPOCH))
    state = str(record.get("status", "new"))
    if state == "finished":
        epochs, speed = _number(record, "epochs"), _number(record, IMAGES_PER_SECOND)
        return replace(status, state=state, epochs=None if epochs is None else int(epochs), images_per_second=speed)
    again = state in ("failed", "diverged") and str(record.get("written", "")) < since
    return status if again or state == "new" else _ended(status, state, str(record.get("error", "")))


def _ended(status: RunStatus, state: str, error: str) -> RunStatus:
    """Complete the status of a run that ended before it was finished."""
    state = "interrupted" if state == "running" else state if state in WORDS else "damaged"
    reason = error or (last_line(RunFolder(status.folder).log_file) if state == "failed" else "")
    return replace(_with_rows(status), state=state, reason=reason, seconds_left=None)


def _planned(record: Mapping[str, Any]) -> int | None:
    try:
        return int(record["config"]["recipe"]["epochs"])
    except (KeyError, TypeError, ValueError):
        return None


def _number(content: Mapping[str, Any], key: str) -> float | None:
    value = content.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _with_rows(status: RunStatus, reported: float | None = None) -> RunStatus:
    """Add the finished epochs, and the time that the others will take by those that were measured.

    Args:
        status: of a run that is not finished.
        reported: epochs that its owner reported, where it did.
    """
    rows = readable(RunFolder(status.folder).rows, [])
    epochs = max(len(rows), int(reported or 0))
    status = replace(status, epochs=epochs)
    left = status.epochs_left * fmean(row.seconds for row in rows) if rows and status.planned else None
    return replace(status, seconds_left=left)


def in_order(runs: Iterable[RunStatus]) -> Sequence[RunStatus]:
    """Sort runs by their states as in `WORDS`; those of one state stay in their order."""
    order = list(WORDS)
    return sorted(runs, key=lambda run: order.index(run.state))
