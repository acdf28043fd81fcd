"""How the scheduler starts processes: here, on this machine. Another engine has the same methods."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

CHILD = "attnbench.training.child"
GRACE_SECONDS = 30.0
"""How long a process may take to stop when asked to."""


class Process(Protocol):
    """A started job."""

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""

    def interrupt(self) -> None:
        """Ask it, with all that it started, to stop so that it can be resumed."""

    def kill_after(self, seconds: float) -> None:
        """Wait for it, and end it if it takes longer."""


class Engine(Protocol):
    """Starts jobs. slots: how many may run at a time."""

    slots: int

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> Process:
        """Start a job on some of the slots; its output goes to the log."""


class LocalEngine:
    """Processes on this machine.

    slots: how many at a time. gpus: GPUs to spread the slots over; without any, the slots share the cores.
    """

    def __init__(self, slots: int, gpus: int = 0) -> None:
        self.slots, self.gpus = slots, gpus

    def environment(self, slots: Sequence[int]) -> dict[str, str]:
        """The environment of a job on these slots: its GPUs, or its share of the cores."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if self.gpus:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(self.gpus)))).split(",")
            chosen = dict.fromkeys(visible[slot % self.gpus] for slot in slots)
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
        threads = max(1, (os.cpu_count() or 1) * len(slots) // self.slots)
        environment.setdefault("OMP_NUM_THREADS", str(threads))
        return environment

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> "LocalProcess":
        """Start a job in a session of its own, so that Ctrl-C reaches the scheduler alone."""
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", CHILD, os.fspath(job_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(slots),
                start_new_session=True,
            )
        return LocalProcess(process)


class LocalProcess:
    """A job's process and the session that it leads."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.process.poll()

    def interrupt(self) -> None:
        """Ask it, with all that it started, to stop so that it can be resumed."""
        self._signal(signal.SIGINT)

    def kill_after(self, seconds: float) -> None:
        """Wait for it, and end it with all that it started if it takes longer, or on another Ctrl-C."""
        try:
            self.process.wait(seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):  # it ended between the two calls
                os.killpg(self.process.pid, number)


def stop(processes: Sequence[Process]) -> None:
    """Ask processes to stop, and end those that take longer than `GRACE_SECONDS` in all."""
    for process in processes:
        process.interrupt()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        process.kill_after(max(0.0, deadline - time.monotonic()))
