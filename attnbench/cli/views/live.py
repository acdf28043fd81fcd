"""Progress of a sweep: in a terminal a table that is kept up to date, elsewhere one line per event."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from attnbench.config.diff import differences, label
from attnbench.console import make_table
from attnbench.errors import UserError
from attnbench.formatting import duration
from attnbench.launch.scheduler import Task
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lock import read_owner
from attnbench.runs.metric_names import EPOCH, IMAGES_PER_SECOND, VAL, main_metric, metric_name
from attnbench.runs.record import FinishedRecord

SHOWN_AT_MOST = 20
REFRESH_SECONDS = 1.0


class LiveView:
    """Shows tasks while in a `with` block; the scheduler calls `show`.

    Args:
        console: where they are shown.
        jobs: of the tasks.
        labels: names of runs by identity; without them, runs are named by how their configurations differ.
    """

    def __init__(self, console: Console, jobs: Sequence[Job], labels: Mapping[str, str] | None = None) -> None:
        self.console = console
        different = map(label, differences([job.config for job in jobs]))
        self.labels = {**dict(zip((job.identity for job in jobs), different, strict=True)), **(labels or {})}
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self.known_states: dict[int, str] = {}
        self.recorded: dict[Path, dict[str, Any]] = {}
        self.shown_at = 0.0

    def __enter__(self) -> "LiveView":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def name(self, task: Task) -> str:
        """Return a task's label and seed."""
        return f"{self.labels[task.job.identity]} seed={task.job.seed}".strip()

    def show(self, tasks: Sequence[Task]) -> None:
        """Bring the view up to date."""
        changed = [number for number, task in enumerate(tasks) if self.known_states.get(number) != task.shown]
        self.known_states.update((number, tasks[number].shown) for number in changed)
        if self.live is None:
            self._print_events([tasks[number] for number in changed if tasks[number].shown != "waiting"], tasks)
        if self.live is not None and time.monotonic() - self.shown_at >= REFRESH_SECONDS:
            self.shown_at = time.monotonic()
            self.live.update(self.table(tasks), refresh=True)

    def _print_events(self, changed: Sequence[Task], tasks: Sequence[Task]) -> None:
        """Print a line for each task, but one alone for many that were finished before."""
        progress = f"[{sum(task.done for task in tasks)}/{len(tasks)}]"
        found = [task for task in changed if task.state == "found"]
        if len(found) > SHOWN_AT_MOST:
            self.console.print(f"{progress} {len(found):,} runs: found")
            changed = [task for task in changed if task.state != "found"]
        for task in changed:
            self._print_event(task, progress)

    def _print_event(self, task: Task, progress: str) -> None:
        took = f" in {duration(task.ended - task.started)}" if task.ended else ""
        reason = f": {task.reason}" if task.reason else ""
        self.console.print(f"{progress} {self.name(task)}: {task.state}{took}{reason}")

    def table(self, tasks: Sequence[Task]) -> Table:
        """Build a table of the tasks: running ones first, then those that wait, then those that are done."""
        done = sum(task.done for task in tasks)
        table = make_table(title=f"{done} of {len(tasks)} runs done")
        for column in ("run", "state", "epoch", "val top-1", "img/s", "time"):
            table.add_column(column, justify="left" if column in ("run", "state") else "right")
        order = sorted(tasks, key=lambda task: (task.done, task.shown == "waiting"))
        for task in order[:SHOWN_AT_MOST]:
            state = f"waiting: {task.waits_for}" if task.shown != task.state else task.state
            table.add_row(self.name(task), state, *_columns(task, self._progress(task)))
        if len(order) > SHOWN_AT_MOST:
            table.add_row(f"… and {len(order) - SHOWN_AT_MOST} more", "", "", "", "", "")
        return table

    def _progress(self, task: Task) -> Mapping[str, Any]:
        """Return what is known of a task's progress; the record of a finished run is read once."""
        if task.state in ("running", "elsewhere"):
            return _reported(task)
        if task.state not in ("finished", "found"):
            return {}
        if task.job.folder not in self.recorded:
            self.recorded[task.job.folder] = _recorded(task)
        return self.recorded[task.job.folder]


def _columns(task: Task, progress: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return epoch, validation accuracy, speed and time of a task, each empty where it is unknown."""
    epochs = task.job.config["recipe"]["epochs"]
    epoch = f"{progress[EPOCH]}/{epochs}" if EPOCH in progress else ""
    accuracy, speed = progress.get(metric_name(VAL, main_metric(progress))), progress.get(IMAGES_PER_SECOND)
    elapsed = (task.ended or time.monotonic()) - task.started if task.started else 0
    return (
        epoch,
        f"{accuracy:.1%}" if accuracy is not None else "",
        f"{speed:,.0f}" if speed else "",
        duration(elapsed) if elapsed else "",
    )


def _recorded(task: Task) -> dict[str, Any]:
    """Return what the record of a finished run says under the names of a running one's progress."""
    record = readable(RunFolder(task.job.folder).record, None)
    if not isinstance(record, FinishedRecord):
        return {}
    monitored = metric_name(VAL, main_metric(record.metrics))
    known = {monitored: record.metrics.get(monitored), IMAGES_PER_SECOND: record.images_per_second}
    return {EPOCH: record.epochs, **known}


def _reported(task: Task) -> dict[str, Any]:
    """Return the progress that a run's owner reported last; nothing where the lock cannot be read."""
    try:
        owner = read_owner(task.job.folder)
    except UserError:
        return {}
    return owner.progress if owner is not None else {}
