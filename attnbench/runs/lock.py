"""One owner per run folder: a lock with host, process and heartbeat, taken over when its owner is dead."""

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from attnbench.runs.files import make_folder, read_json, write_json

HEARTBEAT_SECONDS = 5.0
DEAD_AFTER_SECONDS = 60.0
"""Without a heartbeat for this long, an owner on another host counts as dead."""


class RunLockedError(Exception):
    """Another live process owns the run folder; `owner` is what its lock says."""

    def __init__(self, folder: Path, owner: dict[str, Any]) -> None:
        self.folder, self.owner = folder, owner
        age = time.time() - float(owner.get("heartbeat", 0))
        super().__init__(
            f"{folder} is being trained by process {owner.get('pid')} on {owner.get('host')} "
            f"(heartbeat {age:.0f} s ago)"
        )


def process_started(pid: int) -> str | None:
    """A mark that tells a process from a later one with its number; None where the system shows none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def alive(owner: dict[str, Any]) -> bool:
    """Whether a lock's owner lives: by its process on this host, by its heartbeat on another."""
    if owner.get("host") != socket.gethostname():
        return time.time() - float(owner.get("heartbeat", 0)) < DEAD_AFTER_SECONDS
    pid = int(owner.get("pid", 0))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return owner.get("started") == process_started(pid)


def owner_of(folder: Path) -> dict[str, Any] | None:
    """The live owner of a run folder, or None."""
    owner = read_json(folder / "lock.json")
    return owner if owner is not None and alive(owner) else None


class Lock:
    """Own a run folder while in a `with` block. Entering raises `RunLockedError` if another process owns it.

    `progress` is written along with each heartbeat, for whoever watches the run.
    """

    def __init__(self, folder: Path, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self.folder, self.path = folder, folder / "lock.json"
        self.guard = FileLock(folder / ".lock")
        self.progress: dict[str, Any] = {}
        self.lost = False
        self._interval = heartbeat_seconds
        self._stop = threading.Event()
        pid = os.getpid()
        self._mark = {"host": socket.gethostname(), "pid": pid, "started": process_started(pid)}
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Lock":
        make_folder(self.folder)
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
        """Note progress, to be seen at the next heartbeat."""
        self.progress = {**self.progress, **progress}

    def _write(self) -> None:
        write_json(self.path, {**self._mark, "heartbeat": time.time(), "progress": self.progress})

    def _ours(self) -> bool:
        owner = read_json(self.path)
        return owner is not None and all(owner.get(key) == value for key, value in self._mark.items())

    def _beat(self) -> None:
        while not self._stop.wait(self._interval):
            with self.guard:
                if not self._ours():  # another host took us for dead; the run is theirs now
                    self.lost = True
                    return
                self._write()
