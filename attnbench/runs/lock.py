"""One owner per run folder: a lock with host, process and heartbeat, taken over when its owner is dead."""

import os
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from attnbench.errors import UserError
from attnbench.runs.files import make_folder, read_json, shown, write_json
from attnbench.runs.json_objects import ALWAYS, JsonObject, read_object

LOCK_FILES = ("lock.json", ".lock")
"""The owner, and the guard that lets one process at a time change it."""
HEARTBEAT_SECONDS = 5.0
DEAD_AFTER_SECONDS = 60.0
"""Without a heartbeat for this long, an owner on another host counts as dead."""


@dataclass(frozen=True, kw_only=True)
class Owner(JsonObject):
    """The process that owns a run folder.

    started: distinguishes the process from a later one with the same number; None where the system does not report
    it. heartbeat: time of the last sign of life, in seconds since 1970. progress: of the training.
    """

    host: str
    pid: int
    started: str | None = None
    heartbeat: float
    progress: dict[str, Any] = field(default_factory=dict, metadata=ALWAYS)

    @property
    def process(self) -> tuple[str, int, str | None]:
        """Host, number and start, which together identify the process."""
        return self.host, self.pid, self.started


class RunLockedError(Exception):
    """Another live process owns the run folder."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self.folder, self.owner = folder, owner
        age = time.time() - owner.heartbeat
        super().__init__(
            f"{folder} is being trained by process {owner.pid} on {owner.host} (heartbeat {age:.0f} s ago)"
        )


def process_started(pid: int) -> str | None:
    """Return when a process started, in the system's ticks; None where the system does not report it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def alive(owner: Owner) -> bool:
    """Return whether an owner lives: by its process on this host, by its heartbeat on another."""
    if owner.host != socket.gethostname():
        return time.time() - owner.heartbeat < DEAD_AFTER_SECONDS
    if owner.pid < 1:
        return False
    try:
        os.kill(owner.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return owner.started == process_started(owner.pid)


def read_owner(folder: Path) -> Owner | None:
    """Return what a folder's lock says, or None without a lock. Raises `UserError` if the lock is damaged."""
    path = folder / LOCK_FILES[0]
    content = read_json(path)
    return None if content is None else read_object(Owner, content, shown(path))


def owner_of(folder: Path) -> Owner | None:
    """Return the live owner of a run folder, or None.

    A damaged lock has no owner: a live process would write it again at its next heartbeat.
    """
    try:
        owner = read_owner(folder)
    except UserError:
        return None
    return owner if owner is not None and alive(owner) else None


def check_lock(folder: Path) -> None:
    """Raise `UserError` if something else is in the place of a lock's files."""
    for path in (folder / name for name in LOCK_FILES):
        if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
            raise UserError(f"{shown(path)}: is not a file; move it away")


class Lock:
    """Own a run folder while in a `with` block.

    `progress` is written along with each heartbeat, for those who watch the run. `lost` says that another host took
    this process for dead and owns the run now.

    Raises:
        RunLockedError: when entered, if another process owns the folder.
        UserError: when entered, if the folder or the lock cannot be written.
    """

    def __init__(self, folder: Path, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self.folder = folder
        self.path, self.guard = folder / LOCK_FILES[0], FileLock(folder / LOCK_FILES[1])
        self.progress: dict[str, Any] = {}
        self.lost = False
        self._interval = heartbeat_seconds
        self._stop = threading.Event()
        pid = os.getpid()
        self._mark = Owner(host=socket.gethostname(), pid=pid, started=process_started(pid), heartbeat=time.time())
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Lock":
        make_folder(self.folder)
        check_lock(self.folder)
        with self.guard:
            owner = owner_of(self.folder)
            if owner is not None:
                raise RunLockedError(self.folder, owner)
            self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with self.guard:
            if self._ours():
                self.path.unlink()

    def report(self, **progress: Any) -> None:
        """Note progress, to be written at the next heartbeat."""
        self.progress = {**self.progress, **progress}

    def _write(self) -> None:
        write_json(self.path, replace(self._mark, heartbeat=time.time(), progress=self.progress).to_json())

    def _ours(self) -> bool:
        try:
            owner = read_owner(self.folder)
        except UserError:
            return False
        return owner is not None and owner.process == self._mark.process

    def _beat(self) -> None:
        while not self._stop.wait(self._interval):
            with self.guard:
                if not self._ours():  # another host took this process for dead, and owns the run now
                    self.lost = True
                    return
                self._write()
