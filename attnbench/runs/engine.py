"""How the scheduler starts processes: here, on this machine. Another engine has the same three methods."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

CHILD = "attnbench.training.child"
GRACE_SECONDS = 30.0
"""How long a process may take to stop when asked to."""


class Process(Protocol):
    """A started job."""

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""


class Engine(Protocol):
    """Starts jobs and stops them. slots: how many may run at a time."""

    slots: int

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> Process:
        """Start a job on some of the slots; its output goes to the log."""

    def stop(self, processes: Sequence[Process]) -> None:
        """Ask processes to stop so that they can be resumed, and end those that do not."""


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

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> subprocess.Popen[bytes]:
        """Start a job in a session of its own, so that Ctrl-C reaches the scheduler alone."""
        with log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", CHILD, os.fspath(job_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(slots),
                start_new_session=True,
            )

    def stop(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Interrupt processes with all that they started; kill those that take longer than `GRACE_SECONDS`."""
        for process in processes:
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                _signal(process, signal.SIGKILL)
                process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
