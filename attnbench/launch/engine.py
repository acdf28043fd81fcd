"""The contract between the scheduler and what starts its jobs: processes on this machine, or a cluster's queue.

The scheduler and its jobs share files, not memory. A job is a file that `Job.save` wrote; the worker does it with
`python -m WORKER_MODULE JOB_FILE` and writes its results to the run folder that the file names. So an engine needs to

- start that command where these files are visible, with its output appended to the log file,
- report when it has ended, and with which status,
- pass on a request to stop, and end what does not stop.

An engine need not report failures in any other way: the scheduler reads the reason from the run's record or the log.
A job that waits in a queue has been started too, and says what it waits for. The run folder's lock keeps two processes
from training the same run, whoever started them.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from attnbench.errors import UserError

WORKER_MODULE = "attnbench.cli.worker"
"""Module that does a job: `python -m WORKER_MODULE JOB_FILE`, exit status as of the command line."""
GRACE_SECONDS = 30.0
"""Time in which jobs may stop after an interrupt, before they are ended."""


class Process(Protocol):
    """A job that an engine has started.

    Attributes:
        reason: why it ended, where the engine knows more than the status says; else empty.
        waits_for: what it waits for in a cluster's queue, in a word; empty once it runs.
    """

    reason: str

    @property
    def waits_for(self) -> str: ...

    def poll(self) -> int | None:
        """Return its exit status, negative for the signal that ended it; None until it has ended. Does not wait."""

    def interrupt(self) -> None:
        """Ask it and all processes that it started to stop as on Ctrl-C, so that the run can be resumed."""

    def kill_after(self, seconds: float) -> None:
        """Wait until it has ended, for at most this time, then end it and all processes that it started."""


class Engine(Protocol):
    """Starts jobs.

    Attributes:
        slots: how many jobs on one device run at a time. The scheduler numbers them from 0 and gives a job as many as
            it uses devices, though never more than there are.
        gpus: over which the slots are spread: slot k is on GPU k modulo their number, and a job gets slots on different
            ones. With 0, each slot is a device of its own.
        detaches: whether the jobs go on when the scheduler is interrupted, as in a cluster's queue.
    """

    slots: int
    gpus: int
    detaches: bool

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> Process:
        """Start the worker on a job and return at once.

        Args:
            job_file: the job, which exists.
            log_file: takes the worker's output; its folder exists.
            slots: the job's slots, which no other job of this scheduler uses until it has ended.
        """

    def submit(self) -> None:
        """Hand on the jobs that were started since the last call, if the engine gathers them.

        The scheduler calls it after each look at its tasks, so a queue gets all jobs of a sweep at once.

        Raises:
            UserError: the queue rejects them.
        """


class NoEngine:
    """Starts nothing: for jobs that are all finished."""

    slots = 1
    gpus = 0
    detaches = False

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> Process:
        """Raise `UserError`: another process has archived or removed the run since it was found."""
        raise UserError("the run was finished a moment ago and no longer is; the same command trains it")

    def submit(self) -> None:
        """Do nothing."""


def stop(processes: Sequence[Process]) -> None:
    """Ask processes to stop, and end those that have not stopped after `GRACE_SECONDS` in all."""
    for process in processes:
        process.interrupt()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        process.kill_after(max(0.0, deadline - time.monotonic()))
