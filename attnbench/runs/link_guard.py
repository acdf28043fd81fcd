"""A guard for folders on file systems without file locks, as some network shares are mounted.

Its file is made by a hard link, which succeeds for one process only on every file system, NFS included. The file names
its owner. One that was killed while it held the guard leaves the file behind, and is found dead as the owner of a run
is: by its process number on the same system, and on another host by its silence.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from attnbench.errors import UserError
from attnbench.runs.files import write_json
from attnbench.runs.owner import HEARTBEAT_SECONDS, Owner, OwnerWatch, read_owner

GUARD_FILE = "guard.json"
WAIT_SECONDS = 0.02


class LinkGuard:
    """Lets one process at a time change a folder's owner.

    Args:
        folder: that is guarded.
        beat: seconds between heartbeats of an owner; one on another host that holds the guard for
            `DEAD_AFTER_BEATS` times as long is taken for dead, as nobody needs it for longer than a moment.
    """

    def __init__(self, folder: Path, beat: float = HEARTBEAT_SECONDS) -> None:
        self.path = folder / GUARD_FILE
        self._beat = beat

    def acquire(self) -> None:
        """Wait for the guard and take it. Raises `OSError` if the file system has no hard links."""
        watch = OwnerWatch(self.path.parent, self._beat, GUARD_FILE)
        while not self._link():
            if watch.owner() is None:
                self._break(watch)
            else:
                time.sleep(WAIT_SECONDS)

    def release(self) -> None:
        """Give the guard back."""
        self.path.unlink(missing_ok=True)

    def _link(self) -> bool:
        own = self._unique()
        write_json(own, Owner.of_this_process().to_json())
        try:
            with suppress(FileExistsError):  # which a network may also answer to a second attempt of a first success
                os.link(own, self.path)
            return own.stat().st_nlink == 2
        except FileNotFoundError:  # who had the guard cleared the folder
            return False
        finally:
            own.unlink(missing_ok=True)

    def _break(self, watch: OwnerWatch) -> None:
        """Remove the guard of a dead process, unless another one has done so and taken it in the meantime."""
        found = self._unique()
        try:
            self.path.rename(found)
        except FileNotFoundError:
            return
        if _is_of_the_living(found, watch):
            with suppress(FileExistsError, FileNotFoundError):
                os.link(found, self.path)
        found.unlink(missing_ok=True)

    def _unique(self) -> Path:
        """Return a name that no other process uses, and that is cleared away like any file that was not completed."""
        return self.path.with_name(f".{GUARD_FILE}.{os.getpid()}{time.time_ns()}")


def _is_of_the_living(path: Path, watch: OwnerWatch) -> bool:
    """Return whether a guard that was taken away is another one than that which was found dead."""
    try:
        owner = read_owner(path.parent, path.name)
    except UserError:
        return False
    return owner is not None and watch.watched != (*owner.process, owner.heartbeat)
