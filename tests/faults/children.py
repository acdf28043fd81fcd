"""Commands in processes of their own, with a fault: forked from a warm process, or started as a user starts them."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import NoReturn

from tests.faults.hooks import sitecustomize

ROOT = Path(__file__).parents[2]
HOOKS = Path(sitecustomize.__file__).parent
PRELOADED = ["attnbench.cli.train", "attnbench.cli.views.summary", "attnbench.cli.worker", "attnbench.training.plan",
             "attnbench.training.train", "tests.faults.children"]  # fmt: skip
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """A folder in which a command runs: its outputs, cache and temporary files are all in `work`, and so count."""

    folder: Path

    @property
    def work(self) -> Path:
        """The current folder of the command."""
        return self.folder / "work"

    @property
    def log(self) -> Path:
        """One line for each operation of the last command."""
        return self.folder / "operations.log"

    def operations(self) -> list[str]:
        """Return the operations of the last command."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def environment(self, fault: str) -> dict[str, str]:
        """Return the variables of a command that has the fault."""
        (self.work / "tmp").mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        return {
            "FAULT_ROOT": os.fspath(self.work),
            "FAULT_LOG": os.fspath(self.log),
            "FAULT": fault,
            "TMPDIR": os.fspath(self.work / "tmp"),
            "ATTNBENCH_CACHE": os.fspath(self.work / "cache"),
            "PYTHONPATH": os.pathsep.join([str(HOOKS), str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
        }


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, negative for a signal, and what it printed."""

    status: int
    out: str
    err: str


class Forked:
    """A command in a process that is forked from one that has imported everything: it starts in no time.

    Args:
        place: the folder in which it runs.
        words: the command, without `attnbench`.
        fault: as `FAULT` of the hooks; empty for none.
    """

    def __init__(self, place: Place, words: Sequence[str], fault: str = "") -> None:
        environment = place.environment(fault)
        self.output = tempfile.TemporaryDirectory(dir=place.folder)
        multiprocessing.set_forkserver_preload(PRELOADED)
        forkserver.ensure_running()
        context = multiprocessing.get_context("forkserver")
        arguments = (list(words), place.work, environment, self.output.name)
        self.process = context.Process(target=_run_in_fork, args=arguments)
        self.process.start()

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> Ended:
        """Return how it ended. Raises `TimeoutError` if it has not."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"the command runs for {seconds} s: {self.read('out')}{self.read('err')}")
        ended = Ended(self.process.exitcode, self.read("out"), self.read("err"))
        self.output.cleanup()
        return ended

    def kill(self) -> None:
        """End it as SIGKILL does."""
        self.process.kill()
        self.process.join()

    def kill_all(self) -> None:
        """End it: it is one process."""
        self.kill()

    def wait_for_children(self) -> bool:
        """Return that it has no children."""
        return True

    def read(self, stream: str) -> str:
        """Return what it has printed to `out` or `err`; nothing if it was killed before it could print."""
        path = Path(self.output.name, stream)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _run_in_fork(words: list[str], folder: Path, environment: dict[str, str], output: str) -> NoReturn:
    """Make this process like one that was started in the folder with these variables, then run the command."""
    os.setsid()
    for descriptor, name in ((1, "out"), (2, "err")):
        stream = os.open(Path(output, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(stream, descriptor)
    os.chdir(folder)
    os.environ.update(environment)
    tempfile.tempdir = None
    multiprocessing.set_start_method(None, force=True)  # of loader workers: that of this process is not the user's
    sitecustomize.install()
    from attnbench.cli.main import main

    sys.exit(main(words))


class Started:
    """A command that is started as a user starts it, with all processes that it starts in turn."""

    def __init__(self, place: Place, words: Sequence[str], fault: str = "") -> None:
        self.place, self.environment = place, {**os.environ, **place.environment(fault)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "attnbench", *words],
            cwd=place.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> Ended:
        """Return how it ended. Its children keep its output open: killed ones are waited for as well."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.kill_all()
            raise TimeoutError(f"the command runs for {seconds} s: {error.output}") from error
        return Ended(self.process.returncode, out, err)

    def kill(self) -> None:
        """End the first process alone, as SIGKILL does."""
        self.process.kill()

    def kill_all(self) -> None:
        """End all processes of the command at once, as a power cut does."""
        sitecustomize.kill_processes(os.fspath(self.place.log))

    def wait_for_children(self, seconds: float = 30) -> bool:
        """Wait until no process of the command lives, and return whether that came true."""
        deadline = time.monotonic() + seconds
        while sitecustomize.processes(os.fspath(self.place.log)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True
