"""Whole processes of attnbench, and every process that comes of them."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "ATTNBENCH_TEST_FAMILY"
LONG = ("data=digits", "backbone.width=4", "recipe.epochs=500", "trainer.threads=1", "trainer.progress=false")
"""A run that does not end by itself during a test."""
SHORT = (*LONG, "recipe.epochs=1")


class Family:
    """A command, and all processes that inherit its environment, found by a mark in it."""

    def __init__(self, command: list[str], variables: Mapping[str, str] | None = None) -> None:
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT), **(variables or {}), MARK: self.mark}
        self.log = Path(f"family-{self.mark}.txt")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def living(self) -> dict[int, str]:
        """Return the commands of the processes that live, by their numbers."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def find(self, part: str) -> int:
        """Return the number of the first process whose command contains `part`, once there is one."""
        wait_until(lambda: any(part in command for command in self.living().values()), 60)
        return next(pid for pid, command in self.living().items() if part in command)

    def output(self) -> str:
        """Return what all processes have printed."""
        return self.log.read_text(errors="replace")

    def end(self, seconds: float) -> int:
        """Wait until every process has ended, and return the command's exit status; fail after this time."""
        wait_until(lambda: self.process.poll() is not None and not self.living(), seconds, self.describe)
        return self.process.returncode

    def describe(self) -> str:
        return f"{self.living()}\n{self.output()}"


@contextmanager
def family(*words: str, variables: Mapping[str, str] | None = None) -> Iterator[Family]:
    """Run `attnbench` with these words; whatever is left at the end is killed."""
    started = Family([sys.executable, "-m", "attnbench", *words], variables)
    try:
        yield started
    finally:
        for pid in started.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        started.process.wait()


def wait_until(true: Callable[[], bool], seconds: float, describe: Callable[[], str] = str) -> None:
    """Wait until something is true. Raises `AssertionError` if it is not so in this time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.1)
