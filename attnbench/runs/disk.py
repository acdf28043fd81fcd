"""Writes that the system refuses: a full disk, a quota, a limit of the file size."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnbench.formatting import big

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a write for which there is no room."""


class WriteError(OSError):
    """A file cannot be written; the message says which, why, and what is needed."""


@contextmanager
def writing(name: str, folder: Path, size: int) -> Iterator[None]:
    """Raise `WriteError` where the system refuses to write a file.

    Args:
        name: the file, for the message.
        folder: the folder that it is in.
        size: its bytes.
    """
    try:
        yield
    except OSError as error:
        refused = WriteError(refusal(name, folder, error, size))
        refused.errno = error.errno  # tells a wrong path from a disk without room
        raise refused from error


def refusal(name: str, folder: Path, error: OSError, size: int | None = None) -> str:
    """Return in one line why a file could not be written, and what is needed.

    Args:
        name: the file, or the folder that it is in.
        folder: the folder.
        error: of the system.
        size: the bytes to be written, where they are known.
    """
    reason = f"{name}: cannot be written: {error.strerror or error}"
    if error.errno not in FULL:
        return reason
    needed = "" if size is None else f"{_bytes(size)} needed, "
    if error.errno == errno.EFBIG:
        return f"{reason} ({needed}{_limit()}); with a larger limit the same command continues"
    return f"{reason} ({needed}{_free(folder)}); once there is room, the same command continues"


def _bytes(number: int) -> str:
    return f"{big(number)}B" if number >= 1000 else f"{number} B"


def _free(folder: Path) -> str:
    """Return how much room there is; a quota may leave less."""
    try:
        return f"{_bytes(shutil.disk_usage(folder).free)} free"
    except OSError:
        return "free space unknown"


def _limit() -> str:
    """Return the limit of the file size, which a shell shows with `ulimit -f`."""
    try:
        import resource
    except ImportError:  # Windows has none
        return "limit of the file system"
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return f"limit of the file size: {_bytes(limit)}" if limit >= 0 else "limit of the file system"
