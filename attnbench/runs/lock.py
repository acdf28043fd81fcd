"""One owner per run folder: a lock with host, process and heartbeat, taken over when its owner is dead."""

import errno
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from attnbench.errors import UserError
from attnbench.runs.disk import FULL, WriteError, refusal
from attnbench.runs.files import make_folder, shown, write_json
from attnbench.runs.link_guard import GUARD_FILE, LinkGuard
from attnbench.runs.litter import clear_litter
from attnbench.runs.owner import HEARTBEAT_SECONDS, LOCK_FILE, Owner, OwnerWatch, owner_of, process_started, read_owner
from attnbench.runs.stop_request import STOP_FILE, StopRequests

__all__ = ["LOCK_FILES", "Lock", "Owner", "RunLockedError", "check_lock", "owner_of", "process_started", "read_owner"]
LOCK_FILES = (LOCK_FILE, ".lock", GUARD_FILE, STOP_FILE)
"""The owner, the guard that lets one process at a time change it, its replacement where there are no file locks, and
requests to the owner."""
WITHOUT_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
logger = logging.getLogger(__name__)


class RunLockedError(Exception):
    """Another live process owns the run folder."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self.folder, self.owner = folder, owner
        age = time.time() - owner.heartbeat
        heartbeat = f"heartbeat {age:.0f} s ago" if age >= 0 else "its heartbeat goes on"
        super().__init__(f"{folder} is being trained by process {owner.pid} on {owner.host} ({heartbeat})")


def check_lock(folder: Path) -> None:
    """Raise `UserError` if something else is in the place of a lock's files."""
    for path in (folder / name for name in LOCK_FILES):
        if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
            raise UserError(f"{shown(path)}: is not a file; move it away")


def release_dead(folder: Path, watch: OwnerWatch) -> None:
    """Remove the lock of an owner that a watch has found dead, so that who takes the folder need not watch again."""
    with Lock(folder).guard:
        if watch.owner() is None:
            (folder / LOCK_FILE).unlink(missing_ok=True)


def tidy_finished(folder: Path) -> None:
    """Remove the lock that a process left in a finished run's folder when it was killed at the very end.

    It does no harm, and stays where the folder cannot be written, or where only watching would tell that its owner, on
    another host, is dead.
    """
    watch = OwnerWatch(folder)
    if not (folder / LOCK_FILE).is_file() or watch.owner() is not None:
        return
    try:
        release_dead(folder, watch)
    except (OSError, UserError) as error:
        logger.debug("%s: a dead process's lock stays: %s", shown(folder), error)


class Lock:
    """Own a run folder while in a `with` block.

    `progress` is written along with each heartbeat, for those who watch the run. At each heartbeat the process also
    heeds requests to stop (see `request_stop`). `lost` says that another host took this process for dead and owns the
    run now.

    If a process on another host owns the folder, entering takes until its heartbeat shows that it lives, or the lack
    of one that it does not.

    Raises:
        RunLockedError: when entered, if another process owns the folder.
        WriteError: when entered, if there is no room for the folder or the lock's files.
        UserError: when entered, if the folder cannot be made or locked.
    """

    def __init__(self, folder: Path, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self.folder = folder
        self.path = folder / LOCK_FILE
        self.progress: dict[str, Any] = {}
        self.lost = False
        self._interval = heartbeat_seconds
        self._stop = threading.Event()
        self._mark = Owner.of_this_process()
        self._complained = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def guard(self) -> "_Guard":
        """The context in which no other process takes or leaves the folder.

        Raises:
            UserError: something else is in the place of the lock's files; or, when entered, they cannot be locked.
        """
        check_lock(self.folder)
        return _Guard(self.folder / LOCK_FILES[1])

    def __enter__(self) -> "Lock":
        make_folder(self.folder)
        watch = OwnerWatch(self.folder, self._interval)
        while not self._take(watch):
            time.sleep(self._interval / 10)
        self._requests = StopRequests(self.folder)
        self._thread.start()
        return self

    def _take(self, watch: OwnerWatch) -> bool:
        """Take the folder if it has no live owner; return whether that was so, False if it is not known yet."""
        with self.guard:
            owner = watch.owner()
            if owner is None:
                clear_litter(self.folder)  # with the guard, nobody else writes to the folder now
                self._write()
                return True
        if watch.certain:
            raise RunLockedError(self.folder, owner)
        if not self._complained:
            self._complained = True
            logger.info("%s: waiting to see whether %s still trains it", shown(self.folder), owner.name)
        return False

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        try:
            with self.guard:
                if self._rival() is None:
                    self.path.unlink(missing_ok=True)
        except (OSError, UserError) as error:
            logger.warning("%s could not be removed: %s", shown(self.path), error)

    def report(self, **progress: Any) -> None:
        """Note progress, to be written at the next heartbeat."""
        self.progress = {**self.progress, **progress}

    def _write(self) -> None:
        write_json(self.path, replace(self._mark, heartbeat=time.time(), progress=self.progress).to_json())

    def _rival(self) -> Owner | None:
        """Return the other process that owns the folder; a lock that is missing or damaged is written again."""
        try:
            owner = read_owner(self.folder)
        except UserError:
            return None
        return owner if owner is not None and owner.process != self._mark.process else None

    def _beat(self) -> None:
        while not self.lost and not self._stop.wait(self._interval):
            try:
                with self.guard:
                    self.lost = self._rival() is not None  # another host took this process for dead
                    if not self.lost:
                        self._write()
                self._requests.heed()
                self._complained = False
            except (OSError, UserError) as error:  # the disk may have room again at the next beat
                if not self._complained:
                    self._complained = True
                    logger.warning("the heartbeat failed and will be tried again: %s", error)


class _Guard:
    """A file lock of the operating system, which ends with its process; without such locks, a `LinkGuard`.

    Raises:
        WriteError: when entered, if there is no room for the lock's file.
        UserError: when entered, if there can be no such lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | LinkGuard
        native: dict[str, Any] = {"fallback_to_soft": False}  # a lock by a file's existence would outlive its process
        try:
            self._lock = FileLock(path, **native)
        except TypeError:  # filelock before 3.20 has no such fallback
            self._lock = FileLock(path)

    def __enter__(self) -> None:
        with _refused(self.path):
            try:
                self._lock.acquire()
            except (OSError, NotImplementedError) as error:
                if isinstance(error, OSError) and error.errno not in WITHOUT_LOCKS:
                    raise
                self._lock = LinkGuard(self.path.parent)
                self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise WriteError(refusal(shown(path), path.parent, error)) from error
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{shown(path)}: cannot be locked: {reason}; output=FOLDER names a folder that can be written to, on a"
            " file system with file locks (flock) or hard links"
        ) from error
