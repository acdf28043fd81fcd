"""The server that runs of one device are forked from: it has imported everything once, which takes seconds.

The scheduler starts it with pipes as standard input and output. A request is a line of JSON (`Request`); the answers
are lines `{"number": N, "pid": P}` when the job's process has started, and `{"number": N, "status": S}` when it has
ended. Unlike the server of `multiprocessing`, it needs no socket in the folder for temporary files, whose path may be
too long for one, and it never imports the script that called `attnbench.cli.main`.

The server ends when the scheduler closes its pipe or dies. The jobs hold the same pipe as their lifeline.
"""

import importlib
import io
import json
import os
import select
import signal
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attnbench.launch.lifeline import hung_up, watch_lifeline
from attnbench.termination import heed_requests

COMMAND = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from attnbench.launch.fork_server import main; sys.exit(main())"
)
"""Starts the server where modules are found as in the scheduler; `sys.path` follows as JSON."""
PRELOADED = ("torch", "pytorch_lightning", "attnbench.training.train")
"""Modules that the server imports once for all jobs that are forked from it."""

HELD_BACK = {signal.SIGINT}
"""Signals that the server leaves to the scheduler."""


@dataclass(frozen=True)
class Request:
    """A job to be done in a process of its own. number: of the job, for answers. environment: the whole of it."""

    number: int
    worker: str
    job_file: str
    log_file: str
    environment: dict[str, str]

    def to_line(self) -> bytes:
        """Return the request as a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Server:
    """Forks a process for each request, and reports how the processes end.

    Args:
        answers: where answers are written.
    """

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.children: dict[int, int] = {}
        self.wake_read, self.wake_write = os.pipe()

    def serve(self) -> Request | None:
        """Serve until the scheduler is gone, then return None; in a forked process, return its request at once."""
        os.set_blocking(self.wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # with a handler, the signal is written to the pipe
        signal.set_wakeup_fd(self.wake_write)
        lines = Lines()
        while True:
            ready, _, _ = select.select([0, self.wake_read], [], [])
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
                self._report_ended()
            if 0 in ready:
                content = os.read(0, 65536)
                if not content:
                    return None
                for fields in lines.add(content):
                    request = Request(**fields)
                    if self._fork(request) == 0:
                        return request

    def _fork(self, request: Request) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about threads of libraries, which have their own handlers for a fork
            pid = os.fork()
        if pid:
            self.children[pid] = request.number
            self._answer(number=request.number, pid=pid)
        else:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            heed_requests()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)  # one that came since the fork arrives now
            for descriptor in (self.answers, self.wake_read, self.wake_write):
                os.close(descriptor)
        return pid

    def _report_ended(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._answer(number=self.children.pop(pid), status=os.waitstatus_to_exitcode(status))

    def _answer(self, **content: int) -> None:
        try:
            os.write(self.answers, json.dumps(content).encode() + b"\n")
        except BrokenPipeError:  # the scheduler is gone, which the next look at its pipe shows
            return


class Lines:
    """Cuts bytes that arrive in pieces into lines of JSON."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, content: bytes) -> list[dict[str, Any]]:
        """Return the objects in the lines that are complete with these bytes."""
        *lines, self._rest = (self._rest + content).split(b"\n")
        return [json.loads(line) for line in lines]


def do(request: Request) -> int:
    """Make the forked process like one that was started with this environment, do its job, and return the status."""
    os.setsid()
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(request.environment)
    module = importlib.import_module(request.worker)
    module.use_threads(int(request.environment["OMP_NUM_THREADS"]))  # OpenMP read its variable at the server's start
    watch_lifeline(lifeline)
    return int(module.work(Path(request.job_file)))


def main() -> int:
    """Import, then serve; in a forked process, do its job. Returns the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever imports print is no answer
    for name in PRELOADED:
        if hung_up(0):
            return 0
        importlib.import_module(name)
    request = Server(answers).serve()
    return 0 if request is None else do(request)
