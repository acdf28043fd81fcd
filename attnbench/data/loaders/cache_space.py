"""Paths of cached images, and checks that there is memory or disk space for them."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.splits import Split
from attnbench.data.transforms.decode import STORED_FORMAT_VERSION
from attnbench.errors import UserError

Integers = NDArray[np.int64]
GIB = 1024**3


def cache_file(data: FileDataSet, source: Split, kind: str, stamps: Integers | None = None) -> Path:
    """Return the path of a cache file about a split's stored images.

    Args:
        data: the data set.
        source: the split on disk.
        kind: extension of the file.
        stamps: modification times and sizes of the images' files (N, 2), for caches that are invalid once a file has
            changed; the fingerprint holds no times, and not always the sizes.
    """
    form = data.form
    # "Form" was the class's first name; caches made then are still valid
    stored_as = f"Form(resize={form.resize!r}, stretch={form.stretch!r}, trim={form.trim!r})"
    key = f"({data.fingerprint()!r}, {source!r}, {stored_as}, {STORED_FORMAT_VERSION!r})"
    digest = hashlib.sha256((key + data.read_from).encode())
    if stamps is not None:
        digest.update(stamps.tobytes())
    return cache_folder() / f"{data.name}-{source}-{digest.hexdigest()[:16]}.{kind}"


def stored_bytes(data: FileDataSet, count: int) -> int:
    """Estimate the bytes of `count` stored images, assuming the usual aspect ratio of 4:3."""
    return round(3 * count * data.resize**2 * (1 if data.stretch else 4 / 3))


def require_memory(data: FileDataSet, count: int) -> None:
    """Raise `UserError` if `count` stored images do not fit into the free memory."""
    needed, free = stored_bytes(data, count), free_memory()
    if free is not None and needed > free:
        raise UserError(
            f"data.cache=ram: {count:,} images take about {needed / GIB:,.1f} GiB and {free / GIB:,.1f} GiB are free; "
            "data.cache=disk keeps them in a file"
        )


def require_space(data: FileDataSet, folder: Path, count: int) -> None:
    """Raise `OSError` if `count` stored images do not fit onto the disk that holds the cache folder."""
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    needed, free = stored_bytes(data, count), shutil.disk_usage(existing).free
    if needed > free:
        raise OSError(f"{count:,} images take about {needed / GIB:,.1f} GiB, and {free / GIB:,.1f} GiB are left")


def free_memory() -> int | None:
    """Return the bytes of available memory, or None on systems that do not report it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
