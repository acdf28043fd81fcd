"""Detect changes of files since they were read, so that results computed from them can be cached."""

import os
import time
from pathlib import Path

State = tuple[int, int, int]
SETTLED_AFTER = 2_000_000_000
"""Age in nanoseconds from which a further change is sure to show in a file's time, however coarse the file system's."""


class FileStates:
    """The files and folders that something was made of, as they were then."""

    def __init__(self) -> None:
        self._states: dict[str, State | None] = {}
        self._settled = True

    def note(self, path: str | Path) -> None:
        """Remember the state of a file or folder, which need not exist. Call this before reading it."""
        name = os.fspath(path)
        if name not in self._states:
            state = self._states[name] = _state(name)
            self._settled &= state is None or time.time_ns() - state[0] > SETTLED_AFTER

    def unchanged(self) -> bool:
        """Return whether every noted file and folder is sure to be as it was."""
        return self._settled and all(_state(name) == state for name, state in self._states.items())


def _state(name: str) -> State | None:
    """Return time of change, size and inode, or None where there is nothing."""
    try:
        found = os.stat(name)  # noqa: PTH116 - called hundreds of times: half the time of pathlib's
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
