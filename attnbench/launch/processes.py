"""The engine for processes on this machine."""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnbench.cores import shared_threads
from attnbench.launch.engine import WORKER_MODULE
from attnbench.launch.fork_server import COMMAND, Lines, Request
from attnbench.runs.owner import process_started

KILLED = -int(signal.SIGKILL)
LOOK_SECONDS = 0.05


class LocalEngine:
    """Starts jobs as processes on this machine.

    Args:
        slots: how many jobs on one device run at a time.
        gpus: over which the slots are spread; without any, the slots share the cores.
        worker: module that does a job. It has a function `work(job_file) -> exit status` and a function
            `use_threads(number)`, and can be run with `python -m`.
    """

    detaches = False

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
        return environment | shared_threads(environment, threads)

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> "LocalProcess":
        """Start a job in a separate session, so that Ctrl-C reaches only the scheduler.

        A job on one device is forked from a server that has imported everything once: importing takes seconds, which
        every small run would spend again. A job on several devices starts a process for each.
        """
        environment = self.environment(slots)
        if len(slots) == 1 and sys.platform == "linux":
            return warm_up().start(self.worker, job_file, log_file, environment)
        with log_file.open("ab") as log:
            return start_worker(job_file, worker=self.worker, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def submit(self) -> None:
        """Do nothing: jobs are started at once."""


class LocalProcess:
    """A job's process, which leads its own session.

    Args:
        poll: returns its exit status, None while it runs. It also holds what must live as long as the process, such as
            the other end of its lifeline.
        pid: of the process; None until it is known.
    """

    reason = waits_for = ""

    def __init__(self, poll: Callable[[], int | None], pid: int | None = None) -> None:
        self.poll, self.pid = poll, pid

    def interrupt(self) -> None:
        """Ask the session to stop as on Ctrl-C, so that the run can be resumed."""
        self._signal(signal.SIGINT)

    def kill_after(self, seconds: float) -> None:
        """Wait for the process, and end its session after this time or on another Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self._wait(seconds)
        self._signal(signal.SIGKILL)
        self._wait(None)

    def _wait(self, seconds: float | None) -> None:
        started = time.monotonic()
        while self.poll() is None and (seconds is None or time.monotonic() - started < seconds):
            time.sleep(LOOK_SECONDS)

    def _signal(self, number: int) -> None:
        if self.poll() is not None or self.pid is None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it has just ended, or does not lead its session yet
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_worker(job_file: Path, *options: str, worker: str = WORKER_MODULE, **of_process: Any) -> LocalProcess:
    """Start a worker in a session of its own, so that Ctrl-C reaches it only through its starter.

    Args:
        job_file: the job, which exists.
        options: further words of its command line.
        worker: module that does the job.
        of_process: further options of `subprocess.Popen`.
    """
    command = [sys.executable, "-m", worker, os.fspath(job_file), "--lifeline", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, **of_process)
    return LocalProcess(process.poll, process.pid)


class ForkedProcess(LocalProcess):
    """A job's process that was forked from the server, which says how it ended."""

    def __init__(self, server: "ServerConnection") -> None:
        super().__init__(self._poll)
        self.server = server
        self.status: int | None = None

    def _poll(self) -> int | None:
        self.server.read()
        if self.status is None and self.server.ended and not self._lives():
            self.status = KILLED
        return self.status

    def _lives(self) -> bool:
        return self.pid is not None and process_started(self.pid) is not None

    def _signal(self, number: int) -> None:
        if self.poll() is None and self.pid is None:  # the server still imports: no job has begun
            self.server.end()
        super()._signal(number)


class ServerConnection:
    """Starts the server that jobs are forked from, and passes requests and answers."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.requests, self.answers = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.answers, False)
        self.ended = False
        self.lines = Lines()
        self.jobs: list[ForkedProcess] = []

    def start(self, worker: str, job_file: Path, log_file: Path, environment: dict[str, str]) -> ForkedProcess:
        """Request a job's process and return at once."""
        places = {"job_file": os.fspath(job_file), "log_file": os.fspath(log_file), "folder": os.fspath(Path.cwd())}
        request = Request(number=len(self.jobs), worker=worker, environment=environment, modules=sys.path, **places)
        self.jobs.append(job := ForkedProcess(self))
        content = request.to_line()
        try:
            while content:
                content = content[os.write(self.requests, content) :]
        except BrokenPipeError:
            self.end()
        return job

    def read(self) -> None:
        """Read the answers that have come."""
        while not self.ended:
            try:
                content = os.read(self.answers, 65536)
            except BlockingIOError:
                return
            self.ended = not content
            for answer in self.lines.add(content):
                job = self.jobs[answer["number"]]
                job.pid, job.status = answer.get("pid", job.pid), answer.get("status")

    def end(self) -> None:
        """End the server. Jobs that it has forked go on, until this process ends: then they stop by themselves."""
        self.process.kill()
        self.process.wait()
        self.read()


_servers: list[ServerConnection] = []


def warm_up() -> ServerConnection:
    """Start the server that jobs are forked from, so that it imports while the jobs are still being checked."""
    if not _servers or _servers[-1].ended:
        _servers.append(ServerConnection())
        atexit.register(_servers[-1].end)
    return _servers[-1]
