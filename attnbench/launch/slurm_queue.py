"""Slurm's queue, as its own commands show it."""

import getpass
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from attnbench.errors import UserError

SECONDS = 60.0
"""Time in which one of Slurm's commands answers."""
ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)  # fmt: skip
"""States of jobs that have ended; those that Slurm queues again have another state by then."""
AT_ONCE = 500
"""Jobs that one command line names."""
ITS_TURN = "its turn"
"""The reason for which a job waits where the queue gives none."""


class SlurmJob(NamedTuple):
    """What the queue says of a job. where: its nodes, or in parentheses the reason for which it waits."""

    state: str
    where: str

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state not in ENDED

    @property
    def waits_for(self) -> str:
        """The reason for which it waits; empty for one that runs."""
        return (self.where.strip("()") or ITS_TURN) if self.state in ("PENDING", "CONFIGURING") else ""


class SlurmQueue:
    """The user's jobs in Slurm's queue, of arrays each by `<job>_<number>`."""

    def jobs(self) -> dict[str, SlurmJob]:
        """Return all jobs that the controller knows, which are the open ones and those that ended lately.

        Raises:
            UserError: the controller does not answer.
        """
        user = getpass.getuser()
        command = ("squeue", f"--user={user}", "--noheader", "--array", "--states=all", "--format=%i|%T|%R")
        lines = (line.split("|", 2) for line in ask(command).splitlines())
        return {task: SlurmJob(state, where) for task, state, where in lines}

    def open_tasks(self) -> Mapping[str, str]:
        """Return what each job that has not ended waits for; empty for those that run. Raises `UserError`."""
        return {task: job.waits_for for task, job in self.jobs().items() if job.open}

    def endings(self, tasks: Iterable[str]) -> dict[str, str]:
        """Return the states in which jobs ended by Slurm's accounts; none where the cluster keeps no accounts."""
        command = ("sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State")
        try:
            answers = [ask((*command, f"--jobs={','.join(names)}")) for names in _portions(tasks)]
        except UserError:  # as sacct says where there are none
            return {}
        states = (line.split("|") for answer in answers for line in answer.splitlines())
        words = {task: state.partition(" ")[0] for task, state in states}  # of "CANCELLED by 1000" the first one
        return {task: word for task, word in words.items() if word in ENDED}

    def cancel(self, tasks: Iterable[str]) -> None:
        """Cancel jobs: those that run are asked to stop first. Raises `UserError`."""
        for names in _portions(tasks):
            ask(("scancel", *names))


def _portions(tasks: Iterable[str]) -> Iterator[list[str]]:
    names = list(tasks)
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]


def ask(command: Sequence[str]) -> str:
    """Run one of Slurm's commands and return its output. Raises `UserError` if it is not there, or fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS).stdout
    except FileNotFoundError:
        raise UserError(f"{command[0]}: is not on this machine; Slurm's commands are on the cluster's nodes") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]}: Slurm has not answered for {SECONDS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"{command[0]}: {last_error(error.stderr)}") from None


def last_error(text: str) -> str:
    """Return the last line of what a command of Slurm printed, without the command's name."""
    line = next((line for line in reversed(text.splitlines()) if line.strip()), "failed")
    return line.split("error: ")[-1].strip()
