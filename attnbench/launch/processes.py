"""How the scheduler starts processes: here, on this machine. Another engine has the same methods."""

import importlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import NoReturn, Protocol

CHILD = "attnbench.cli.worker"
PRELOADED = "attnbench.training.train"
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
        """Start a job in a session of its own, so that Ctrl-C reaches the scheduler alone.

        A job on one device is forked off a server that has imported everything once: importing takes seconds, which
        small runs would spend over and over. A job on several devices needs a command that Lightning can repeat.
        """
        environment = self.environment(slots)
        if len(slots) == 1 and sys.platform == "linux":
            return _fork(job_file, log_file, environment)
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", CHILD, os.fspath(job_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        return LocalProcess(process.pid, process.poll, process.wait)


def warm_up() -> None:
    """Start the server that jobs are forked off, so that it imports while the jobs are still being checked."""
    if sys.platform == "linux":
        multiprocessing.set_forkserver_preload([PRELOADED])
        forkserver.ensure_running()


def _fork(job_file: Path, log_file: Path, environment: dict[str, str]) -> "LocalProcess":
    warm_up()
    process = multiprocessing.get_context("forkserver").Process(target=_in_fork, args=(job_file, log_file, environment))
    process.start()
    assert process.pid is not None
    return LocalProcess(process.pid, lambda: process.exitcode, process.join)


def _in_fork(job_file: Path, log_file: Path, environment: dict[str, str]) -> NoReturn:
    """What a forked process does: make itself like one that was started with this environment, and do the job."""
    os.setsid()
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    child = importlib.import_module(CHILD)
    child.use_threads(int(environment["OMP_NUM_THREADS"]))  # OpenMP read its variable when the server started
    sys.exit(child.work(job_file))


class LocalProcess:
    """A job's process, which leads a session of its own."""

    def __init__(self, pid: int, poll: Callable[[], int | None], wait: Callable[[float | None], object]) -> None:
        self.pid, self.poll, self.wait = pid, poll, wait

    def interrupt(self) -> None:
        """Ask it, with all that it started, to stop so that it can be resumed."""
        self._signal(signal.SIGINT)

    def kill_after(self, seconds: float) -> None:
        """Wait for it, and end it with all that it started if it takes longer, or on another Ctrl-C."""
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            self.wait(seconds)
        self._signal(signal.SIGKILL)
        self.wait(None)

    def _signal(self, number: int) -> None:
        if self.poll() is not None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it ended just now, or does not lead its session yet
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def stop(processes: Sequence[Process]) -> None:
    """Ask processes to stop, and end those that take longer than `GRACE_SECONDS` in all."""
    for process in processes:
        process.interrupt()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        process.kill_after(max(0.0, deadline - time.monotonic()))
