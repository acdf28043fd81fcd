"""The cache folder, and generated images kept there between runs: one file for each split."""

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout

from attnbench.data.sources.arrays import Arrays


def cache_folder() -> Path:
    """Return the cache folder: `$ATTNBENCH_CACHE`, or `attnbench` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ATTNBENCH_CACHE") or Path(base) / "attnbench")


@contextmanager
def cache_lock(path: Path, blocking: bool = True) -> Iterator[None]:
    """Let one process at a time write a file of the cache folder, and remove what killed ones have left there.

    Args:
        path: the file; until it is complete, it is written as `<stem>.part` or `<stem>.part.npz`.
        blocking: whether to wait for another process. If not, `Timeout` is raised.

    Raises:
        OSError: the folder cannot be written, or files in it cannot be locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in path.parent.glob("*.part*"):
        _remove_abandoned(part)
    with _locked(path.with_suffix(".lock"), blocking):
        yield


def _locked(path: Path, blocking: bool) -> AbstractContextManager[object]:
    """Acquire a lock. Raises `Timeout`, and `OSError` also where filelock says that files cannot be locked."""
    try:
        return FileLock(path).acquire(blocking=blocking)
    except NotImplementedError as error:
        raise OSError(errno.ENOSYS, str(error)) from error


def _remove_abandoned(part: Path) -> None:
    """Remove an incomplete file unless a process holds its lock: it may have hundreds of gigabytes."""
    lock = part.with_name(part.name.rpartition(".part")[0] + ".lock")
    with suppress(Timeout, OSError), _locked(lock, blocking=False):
        part.unlink(missing_ok=True)


def read_cache(path: Path) -> Arrays | None:
    """Read a cached split. Return None if it is missing or damaged."""
    try:
        with np.load(path) as stored:
            return Arrays(stored["images"], stored["labels"], stored["boxes"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        warnings.warn(f"{path} is damaged ({error}); generating it again", stacklevel=2)
        return None


def write_cache(path: Path, arrays: Arrays) -> None:
    """Cache a split with its boxes, atomically, unless another process is about to.

    If that fails, warn: the images will be generated again.
    """
    try:
        with cache_lock(path, blocking=False):
            _write(path, arrays)
    except Timeout:
        return
    except OSError as error:
        warnings.warn(f"cannot cache generated images in {path.parent}: {error}", stacklevel=2)


def _write(path: Path, arrays: Arrays) -> None:
    assert arrays.boxes is not None
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            np.savez(stream, images=arrays.images, labels=arrays.labels, boxes=arrays.boxes)
        part.replace(path)
    finally:  # a full disk or Ctrl-C may leave hundreds of megabytes
        part.unlink(missing_ok=True)
