"""The owner of a run folder, and whether it lives."""

import os
import socket
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from attnbench.errors import UserError
from attnbench.runs.files import read_json, shown
from attnbench.runs.json_objects import ALWAYS, JsonObject, read_object

LOCK_FILE = "lock.json"
HEARTBEAT_SECONDS = 5.0
DEAD_AFTER_BEATS = 12
"""An owner on another host that misses so many heartbeats counts as dead."""
SHORT_WATCH_BEATS = 2.5
"""For so long at least the heartbeat is watched, even if it seems to have stopped long ago."""


@dataclass(frozen=True, kw_only=True)
class Owner(JsonObject):
    """The process that owns a run folder.

    system: distinguishes hosts of one name, and containers, which number their processes themselves. started:
    distinguishes the process from a later one with the same number; both are None where the system does not report
    them. heartbeat: time of the last sign of life, in seconds since 1970. progress: of the training.
    """

    host: str
    system: str | None = None
    pid: int
    started: str | None = None
    heartbeat: float
    progress: dict[str, Any] = field(default_factory=dict, metadata=ALWAYS)

    @classmethod
    def of_this_process(cls) -> "Owner":
        """Return the owner that this process is."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            system=this_system(),
            pid=pid,
            started=process_started(pid),
            heartbeat=time.time(),
        )

    @property
    def process(self) -> tuple[str, str | None, int, str | None]:
        """Host, system, number and start, which together identify the process."""
        return self.host, self.system, self.pid, self.started

    @property
    def name(self) -> str:
        """The process, for messages."""
        return f"process {self.pid} on {self.host}"

    @property
    def near(self) -> bool:
        """Whether its process number is one of this system."""
        return self.host == socket.gethostname() and self.system in (None, this_system())


@cache
def this_system() -> str | None:
    """Return the start of this machine and the namespace of its process numbers; None if they are not reported."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def process_started(pid: int) -> str | None:
    """Return when a process started, in the system's ticks; None where the system does not report it.

    One that has ended, though its parent has not asked for its status yet, is no process any more.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return None


def process_lives(owner: Owner) -> bool:
    """Return whether an owner whose number is one of this system lives."""
    if owner.pid < 1:
        return False
    try:
        os.kill(owner.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return owner.started == process_started(owner.pid)


def read_owner(folder: Path, name: str = LOCK_FILE) -> Owner | None:
    """Return what a folder's lock says, or None without a lock. Raises `UserError` if the lock is damaged."""
    path = folder / name
    content = read_json(path)
    return None if content is None else read_object(Owner, content, shown(path))


def owner_of(folder: Path) -> Owner | None:
    """Return the live owner of a run folder, or None, as far as one look shows.

    An owner on another host lives if its lock was written lately by this host's clock; `OwnerWatch` makes sure. A
    damaged lock has no owner: a live process would write it again at its next heartbeat.
    """
    try:
        owner = read_owner(folder)
        if owner is None or owner.near:
            return owner if owner is not None and process_lives(owner) else None
        age = time.time() - (folder / LOCK_FILE).stat().st_mtime
    except (UserError, OSError):
        return None
    return owner if age < DEAD_AFTER_BEATS * HEARTBEAT_SECONDS else None


class OwnerWatch:
    """Tells whether the owner of a run folder lives, on another host by watching whether its heartbeat changes.

    No clock of another host is trusted: it may be hours ahead or behind.

    Args:
        folder: of the run.
        beat: seconds between heartbeats.
        name: of the lock's file.

    Attributes:
        certain: whether the owner that was returned last is known to live.
        watched: process and heartbeat of the owner that was looked at last; None before there was one.
        needed: seconds without a heartbeat after which it counts as dead.
    """

    def __init__(self, folder: Path, beat: float = HEARTBEAT_SECONDS, name: str = LOCK_FILE) -> None:
        self.folder, self.beat, self.name = folder, beat, name
        self.certain = False
        self.watched: tuple[object, ...] | None = None
        self._since = self.needed = 0.0

    def owner(self) -> Owner | None:
        """Return the owner, or None if there is none or it is dead."""
        try:
            owner = read_owner(self.folder, self.name)
        except UserError:
            return None
        if owner is None:
            return None
        if owner.near:
            self.watched = (*owner.process, owner.heartbeat)
            self.certain = process_lives(owner)
            return owner if self.certain else None
        return owner if self._beats(owner) else None

    def _beats(self, owner: Owner) -> bool:
        mark = (*owner.process, owner.heartbeat)
        if mark != self.watched:
            self.certain = self.watched is not None
            self.watched, self._since = mark, time.monotonic()
            stopped_before = _age(self.folder / self.name) > DEAD_AFTER_BEATS * self.beat and not self.certain
            self.needed = (SHORT_WATCH_BEATS if stopped_before else DEAD_AFTER_BEATS) * self.beat
        return time.monotonic() - self._since < self.needed


def _age(lock: Path) -> float:
    """Return the seconds since a lock was written, by the clock of the file system that it is on; 0 if unknown."""
    probe = lock.with_name(f".clock.{os.getpid()}")
    try:
        probe.touch()
        written = probe.stat().st_mtime
        probe.unlink()
        return written - lock.stat().st_mtime
    except OSError:
        return 0.0
