"""The engine for processes on this machine."""

import importlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import NoReturn

from attnbench.launch.engine import WORKER_MODULE

PRELOADED = "attnbench.training.train"
"""Module that the server imports once for all jobs that are forked from it."""


class LocalEngine:
    """Starts jobs as processes on this machine.

    Args:
        slots: how many jobs on one device run at a time.
        gpus: GPUs over which the slots are spread; without any, the slots share the cores.
        worker: module that does a job. It has a function `work(job_file) -> exit status` and a function
            `use_threads(number)`, and can be run with `python -m`.
    """

    def __init__(self, slots: int, gpus: int = 0, worker: str = WORKER_MODULE) -> None:
        self.slots, self.gpus, self.worker = slots, gpus, worker

    def environment(self, slots: Sequence[int]) -> dict[str, str]:
        """Return the environment of a job on these slots, with its GPUs or its share of the cores."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if self.gpus:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(self.gpus)))).split(",")
            chosen = dict.fromkeys(visible[slot % self.gpus] for slot in slots)
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
        threads = max(1, (os.cpu_count() or 1) * len(slots) // self.slots)
        environment.setdefault("OMP_NUM_THREADS", str(threads))
        return environment

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> "LocalProcess":
        """Start a job in a separate session, so that Ctrl-C reaches only the scheduler.

        A job on one device is forked from a server that has imported everything once: importing takes seconds, which
        every small run would spend again. A job on several devices needs a command that Lightning can repeat.
        """
        environment = self.environment(slots)
        if len(slots) == 1 and sys.platform == "linux":
            return _fork(self.worker, job_file, log_file, environment)
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", self.worker, os.fspath(job_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        return LocalProcess(process.pid, process.poll, process.wait)


class LocalProcess:
    """A job's process, which leads its own session.

    Args:
        pid: of the process.
        poll: returns its exit status, None while it runs.
        wait: waits for its end, at most for the given seconds.
    """

    def __init__(self, pid: int, poll: Callable[[], int | None], wait: Callable[[float | None], object]) -> None:
        self.pid, self.poll, self.wait = pid, poll, wait

    def interrupt(self) -> None:
        """Ask the session to stop as on Ctrl-C, so that the run can be resumed."""
        self._signal(signal.SIGINT)

    def kill_after(self, seconds: float) -> None:
        """Wait for the process, and end its session after this time or on another Ctrl-C."""
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            self.wait(seconds)
        self._signal(signal.SIGKILL)
        self.wait(None)

    def _signal(self, number: int) -> None:
        if self.poll() is not None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it has just ended, or does not lead its session yet
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def warm_up() -> None:
    """Start the server that jobs are forked from, so that it imports while the jobs are still being checked."""
    if sys.platform == "linux":
        multiprocessing.set_forkserver_preload([PRELOADED])
        forkserver.ensure_running()


def _fork(worker: str, job_file: Path, log_file: Path, environment: dict[str, str]) -> LocalProcess:
    warm_up()
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_work_in_fork, args=(worker, job_file, log_file, environment))
    process.start()
    assert process.pid is not None
    return LocalProcess(process.pid, lambda: process.exitcode, process.join)


def _work_in_fork(worker: str, job_file: Path, log_file: Path, environment: dict[str, str]) -> NoReturn:
    """Make the forked process like one that was started with this environment, then do the job."""
    os.setsid()
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    module = importlib.import_module(worker)
    module.use_threads(int(environment["OMP_NUM_THREADS"]))  # OpenMP read its variable when the server started
    sys.exit(module.work(job_file))
