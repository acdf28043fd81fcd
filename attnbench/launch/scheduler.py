"""The scheduler: runs jobs that have been checked, each in a separate process of an engine.

It packs jobs on slots, skips finished runs, continues when a job fails, and reports how each one ended. It waits for a
run that another process trains, and continues that run if the process dies.
"""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from attnbench.errors import UserError
from attnbench.exit_codes import INTERRUPTED
from attnbench.launch.engine import Engine, Process, stop
from attnbench.runs.files import check_file, make_folder, readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lock import release_dead, tidy_finished
from attnbench.runs.owner import LOCK_FILE, Owner, OwnerWatch, owner_of
from attnbench.runs.record import FinishedRecord
from attnbench.termination import requests_counted, requests_ignored

State = Literal["waiting", "running", "elsewhere", "finished", "found", "failed", "diverged", "interrupted", "detached"]
"""`elsewhere`: another process trains the run; `found`: it was finished before; `detached`: a cluster continues it."""
FINAL = ("finished", "found", "failed", "diverged", "interrupted", "detached")
POLL_SECONDS = 0.5
"""The longest time between two looks at the tasks."""
SHORTEST_POLL_SECONDS = 0.05
POLL_SHARE = 0.05
"""Time to the next look, as a share of the time since a task's state changed: short runs are not waited for."""


@dataclass
class Task:
    """A job and its state.

    reason: why it failed or diverged, in one line. waits_for: what a job that was started waits for in a cluster's
    queue; empty once it runs. started: when it was started, or began to run in the queue. found: the record of a run
    that was finished before. seen: whether the run's folder was looked at; one that waits is looked at again when a
    slot is free.
    """

    job: Job
    state: State = "waiting"
    reason: str = ""
    waits_for: str = ""
    process: Process | None = None
    started: float = 0.0
    ended: float = 0.0
    slots: list[int] = field(default_factory=list)
    found: FinishedRecord | None = None
    seen: bool = False
    watch: OwnerWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = OwnerWatch(self.job.folder)

    @property
    def done(self) -> bool:
        """Whether its state is final."""
        return self.state in FINAL

    @property
    def shown(self) -> State:
        """The state as users see it: a job that waits in a cluster's queue does not run yet."""
        return "waiting" if self.state == "running" and self.waits_for else self.state


class Scheduler:
    """Runs jobs on the slots of an engine.

    Args:
        jobs: checked before.
        engine: starts them.
        watch: called after every look at the tasks, at least every `POLL_SECONDS`, to show them.
    """

    def __init__(
        self, jobs: Sequence[Job], engine: Engine, watch: Callable[[Sequence[Task]], None] | None = None
    ) -> None:
        self.tasks = [Task(job) for job in jobs]
        self.engine, self.watch = engine, watch or (lambda tasks: None)
        self.free = list(range(engine.slots))
        self._states: list[State] = []
        self._changed = time.monotonic()

    def run(self) -> list[Task]:
        """Run all jobs and return them with their final states.

        Raises:
            KeyboardInterrupt: the user interrupted; running jobs have been stopped so that they can be resumed, unless
                the engine detaches from them.
        """
        try:
            with requests_counted() as requests:
                while not all(task.done for task in self.tasks):
                    for task in self.tasks:
                        requests.check()
                        self._update(task)
                    self.engine.submit()
                    self._show()
                    if not all(task.done for task in self.tasks):
                        requests.sleep(self._until_next_look())
        except BaseException:  # whatever ends the scheduler, no run goes on unseen
            with requests_ignored():
                self.leave()
            raise
        return self.tasks

    def _until_next_look(self) -> float:
        states, now = [task.state for task in self.tasks], time.monotonic()
        if states != self._states:
            self._states, self._changed = states, now
        return min(POLL_SECONDS, max(SHORTEST_POLL_SECONDS, POLL_SHARE * (now - self._changed)))

    def _show(self) -> None:
        try:
            self.watch(self.tasks)
        except OSError:  # nobody reads our output any more; the runs go on
            self.watch = lambda tasks: None

    def _update(self, task: Task) -> None:
        if task.state == "running":
            self._check_process(task)
        elif task.state == "elsewhere" or (task.state == "waiting" and (self.free or not task.seen)):
            task.seen = True
            run = RunFolder(task.job.folder)
            try:
                record = None if task.job.again else run.record()
                owned = not isinstance(record, FinishedRecord) and self._owner(task) is not None
            except (OSError, UserError) as error:  # its record is damaged, or a dead owner's lock cannot be removed
                self._fail(task, str(error))
                return
            if isinstance(record, FinishedRecord):
                self._find(task, record)
            elif owned:
                task.state = "elsewhere"
            else:
                self._start(task, run)

    def _owner(self, task: Task) -> Owner | None:
        """Return the live owner of a run. The lock of one that is found dead is removed, so it is watched once."""
        owner = task.watch.owner()
        if owner is None and (task.job.folder / LOCK_FILE).is_file():
            release_dead(task.job.folder, task.watch)
        return owner

    def _start(self, task: Task, run: RunFolder) -> None:
        task.slots = self._places(int(task.job.config["trainer"]["devices"]))
        if not task.slots:
            task.state = "waiting"
            return
        self.free = [slot for slot in self.free if slot not in task.slots]
        try:
            make_folder(run.path)
            check_log(run.log_file)
            task.job.save(run.job_file)
            task.process = self.engine.start(run.job_file, run.log_file, task.slots)
        except (OSError, UserError) as error:  # of this run; the others go on
            self.free = sorted(self.free + task.slots)
            self._fail(task, f"cannot be started: {error}")
        else:
            task.state, task.started, task.waits_for = "running", time.monotonic(), task.process.waits_for

    def _places(self, devices: int) -> list[int]:
        """Return free slots on as many devices, though never more than there are; none until there are enough."""
        known = self.engine.gpus or self.engine.slots
        first = {slot % known: slot for slot in reversed(self.free)}  # the lowest one on each device
        wanted = min(devices, known, self.engine.slots)
        return sorted(first.values())[:wanted] if len(first) >= wanted else []

    def _find(self, task: Task, record: FinishedRecord) -> None:
        task.state, task.reason, task.found = "found", "", record
        tidy_finished(task.job.folder)

    def _fail(self, task: Task, reason: str) -> None:
        task.state, task.reason = "failed", reason

    def _check_process(self, task: Task) -> None:
        assert task.process is not None
        status = task.process.poll()
        if status is None:
            task.waits_for = task.process.waits_for
            task.started = time.monotonic() if task.waits_for else task.started
            return
        task.ended, task.waits_for = time.monotonic(), ""
        self.free = sorted(self.free + task.slots)
        if status == 0:
            task.state = "finished"
        elif owner_of(task.job.folder) is not None:  # another process took the run first
            task.state = "elsewhere"
        else:
            self._fail(task, failure_reason(task.job, status, task.process.reason))
            record = readable(RunFolder(task.job.folder).record, None)
            if isinstance(record, FinishedRecord) and not task.job.again:  # another one took it first, and was quick
                self._find(task, record)
            elif record is not None and record.status == "diverged":
                task.state = "diverged"
            elif status == INTERRUPTED:  # somebody stopped this run alone
                task.state, task.reason = "interrupted", ""

    def leave(self) -> None:
        """Stop the jobs that run, or leave them to the engine if they go on without us."""
        running = [task for task in self.tasks if task.state == "running"]
        if self.engine.detaches:
            for task in running:
                task.state = "detached"
        else:
            stop([task.process for task in running if task.process is not None])
        for task in self.tasks:
            if not task.done:
                task.state = "interrupted"


def check_log(path: Path) -> None:
    """Raise `UserError` unless a log can be written to, before a process is started that could not say why it ends."""
    try:
        check_file(path)
        path.open("ab").close()
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def failure_reason(job: Job, status: int, known: str = "") -> str:
    """Return why a process failed or its training diverged: as its record says, or the last line of its log.

    Args:
        job: that failed.
        status: its exit status.
        known: what the engine knows of its end.
    """
    record = readable(RunFolder(job.folder).record, None)
    ending = known or (f"killed by signal {-status}" if status < 0 else f"exit status {status}")
    if status == -signal.SIGKILL:
        ending += " (as a system without free memory does; a smaller data.batch_size or sweep.jobs needs less)"
    if record is not None and record.status == "diverged":
        return record.error
    error = record.error if record is not None and record.status == "failed" else ""
    return f"{ending}: {error or last_line(RunFolder(job.folder).log_file)}"


def last_line(path: Path) -> str:
    """Return the last line of a log that is not empty."""
    return next(iter(last_lines(path, 1)), "no output")


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not empty."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # the process never wrote one
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]
