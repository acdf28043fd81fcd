"""What processes that were killed while they wrote have left: in a run's folder, and beside any other file."""

import glob
import re
import time
from contextlib import suppress
from pathlib import Path

LITTER = re.compile(r"\..+\.(\d+|part)")
"""Files that are renamed when they are complete: `.record.json.4711`, of process 4711."""
WRITTEN_BY_SCHEDULERS = ".job.json."
"""Start of the one kind of these files that a process writes before it has the lock."""
RECENT_SECONDS = 60.0


def clear_litter(folder: Path) -> None:
    """Remove the files in a run's folder that were never completed.

    Args:
        folder: of a run, whose lock's guard is held and that has no live owner: then no other process writes to it.
    """
    for place in (folder, *(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())):
        for path in place.iterdir():
            if LITTER.fullmatch(path.name) and path.is_file() and not _in_use(path):
                path.unlink(missing_ok=True)


def clear_litter_of(path: Path) -> None:
    """Remove what killed processes have left of a file that any process may write, beside it."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with suppress(FileNotFoundError):  # another process has just completed it
            if LITTER.fullmatch(part.name) and part.is_file() and not _recent(part):
                part.unlink()


def _in_use(path: Path) -> bool:
    return path.name.startswith(WRITTEN_BY_SCHEDULERS) and _recent(path)


def _recent(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < RECENT_SECONDS
