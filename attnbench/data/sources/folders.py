"""Images and folders on disk. Only regular files are images: reading a pipe waits for ever, a device never ends."""

import errno
import os
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.left_out import LeftOut
from attnbench.errors import UserError

EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"),  # as in torchvision's `ImageFolder`
    *(".jfif", ".jpe", ".gif", ".avif"),
)
"""Extensions of image files, in small or capital letters."""
SYSTEM_NAMES = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found", "$recycle.bin")
)
"""Files and folders that systems make and mean to hide, in small letters."""
SETTLED_NS = 2_000_000_000
"""A folder that changed more recently may change again within the resolution of its modification time."""
IMAGE, FOLDER = "image", "folder"
HIDDEN, BROKEN, CIRCLE, SPECIAL = "hidden", "broken links", "links in a circle", "pipes or devices"
OUTSIDE, NO_SPLIT = "images outside of class folders", "of no split"

Names = NDArray[np.bytes_]
"""File names as the system encodes them: as text, 1.28 million paths would take four times the memory."""


class Listing(NamedTuple):
    """A folder's entries.

    Attributes:
        files: names of the images, sorted.
        folders: names of the subfolders, sorted.
        links: those of the subfolders that are links.
        others: names of all other entries, by the reason not to use them.
    """

    files: Names
    folders: Names
    links: frozenset[bytes]
    others: dict[str, list[str]]


def listing(folder: str) -> Listing:
    """List a folder. Cached until the folder changes: a sweep lists the same folders many times.

    Raises:
        UserError: the folder may not be read.
    """
    try:
        changed = os.stat(folder).st_mtime_ns  # noqa: PTH116
        settled = time.time_ns() - changed > SETTLED_NS
        return _cached_scan(folder, changed) if settled else _scan(folder)
    except PermissionError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}") from error


@cache
def _cached_scan(folder: str, changed: int) -> Listing:
    return _scan(folder)


def _scan(folder: str) -> Listing:
    files, folders, links = [], [], set()
    others: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name, kind = os.fsencode(entry.name), kind_of(entry)
            if kind == IMAGE:
                files.append(name)
            elif kind == FOLDER:
                folders.append(name)
                if entry.is_symlink():
                    links.add(name)
            else:
                others.setdefault(kind, []).append(entry.name)
    return Listing(np.array(sorted(files), np.bytes_), np.array(sorted(folders), np.bytes_), frozenset(links), others)


def kind_of(entry: os.DirEntry[str] | Path) -> str:
    """Return `IMAGE`, `FOLDER`, or the reason not to use an entry of a folder."""
    if is_hidden(entry.name):
        return HIDDEN
    try:
        if entry.is_dir():
            return FOLDER
        if not entry.is_file():
            entry.stat()  # raises where there is nothing
            return SPECIAL
    except OSError:
        return BROKEN
    return IMAGE if entry.name.lower().endswith(EXTENSIONS) else extension_of(entry.name)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or is one that systems make for themselves."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def extension_of(name: str) -> str:
    """Return the extension in a file's name, in small letters, as a reason not to use it."""
    return os.path.splitext(name)[1].lower() or "without an extension"  # noqa: PTH122


def walk(folder: str, left_out: LeftOut | None = None, shown: str = "") -> Iterator[tuple[bytes, Listing]]:
    """Yield a folder and all folders below it, each with its path relative to the first, which ends with a slash.

    Links are followed, except those that lead back to a folder above: they would never end.

    Args:
        folder: where to start.
        left_out: counts what is not used.
        shown: path of the folder for `left_out`.
    """
    yield from _walk(folder, b"", (os.path.realpath(folder),), left_out, shown)


def _walk(
    folder: str, prefix: bytes, above: tuple[str, ...], left_out: LeftOut | None, shown: str
) -> Iterator[tuple[bytes, Listing]]:
    found, here = listing(folder), shown + os.fsdecode(prefix)
    if left_out is not None:
        _leave_out(left_out, found, here)
    yield prefix, found
    for name in found.folders.tolist():
        path, real = f"{folder}/{os.fsdecode(name)}", f"{above[-1]}/{os.fsdecode(name)}"
        if name in found.links:
            real = os.path.realpath(path)
            if leads_back(real, above):
                if left_out is not None:
                    left_out.add(CIRCLE, [here + os.fsdecode(name)])
                continue
        yield from _walk(path, prefix + name + b"/", (*above, real), left_out, shown)


def leads_back(target: str, folders: Sequence[str]) -> bool:
    """Return whether a link's target is one of these folders, or holds one. All are real paths."""
    return any(f"{folder}/".startswith(f"{target.rstrip('/')}/") for folder in folders)


def images_below(folder: str, prefix: bytes = b"", left_out: LeftOut | None = None) -> Names:
    """Return the names of all images in a folder and below, each after `prefix`. Hidden files are ignored."""
    found = walk(folder, left_out, os.fsdecode(prefix))
    return np.concatenate([np.char.add(prefix + below, one.files) for below, one in found])


def folders_in(folder: Path) -> list[str]:
    """Return the names of the subfolders, sorted. Hidden ones (`.ipynb_checkpoints`) are ignored."""
    found, here = listing(os.fspath(folder)), os.path.realpath(folder)
    circles = {name for name in found.links if leads_back(os.path.realpath(folder / os.fsdecode(name)), (here,))}
    return [os.fsdecode(name) for name in found.folders.tolist() if name not in circles]


def leave_out_beside(left_out: LeftOut, folder: Path, shown: str, used: Collection[str]) -> None:
    """Count what is directly in a folder, except the subfolders that are used; names are shown after `shown`."""
    found, folders = listing(os.fspath(folder)), folders_in(folder)
    _leave_out(left_out, found, shown)
    left_out.add(OUTSIDE, (shown + os.fsdecode(name) for name in found.files.tolist()))
    circles = {os.fsdecode(name) for name in found.folders.tolist()} - set(folders)
    left_out.add(CIRCLE, (shown + name for name in circles))
    left_out.add(NO_SPLIT, (shown + name for name in folders if name not in used))


def _leave_out(left_out: LeftOut, found: Listing, shown: str) -> None:
    for reason, names in found.others.items():
        left_out.add(reason, (shown + name for name in names))


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file. Raises `OSError` if it is not a regular file: it may have been replaced since it was listed."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    stream = open(descriptor, "rb")  # noqa: PTH123, SIM115 - a descriptor, which the caller closes
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        stream.close()
        raise OSError(errno.EINVAL, "is a pipe or a device, not a file", os.fspath(path))
    return stream


def read_regular(path: str | Path) -> bytes:
    """Read a file. Raises `OSError` as `open_regular` does."""
    with open_regular(path) as stream:
        return stream.read()
