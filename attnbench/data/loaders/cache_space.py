"""Where decoded images are cached, and whether there is room for them."""

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
    """Where something is kept that was found out about a split's stored forms, or about those of files as they are
    now: the fingerprint does not hold when they were changed, nor always their sizes.
    """
    what = repr((data.fingerprint(), source, data.form, STORED_FORMAT_VERSION))
    known = hashlib.sha256(what.encode())
    if stamps is not None:
        known.update(stamps.tobytes())
    return cache_folder() / f"{data.name}-{source}-{known.hexdigest()[:16]}.{kind}"


def stored_bytes(data: FileDataSet, count: int) -> int:
    """About what the stored forms of so many images take, if they are of the usual 4:3."""
    return round(3 * count * data.resize**2 * (1 if data.stretch else 4 / 3))


def require_memory(data: FileDataSet, count: int) -> None:
    """Raise `UserError` if stored forms would not fit into the memory that is free."""
    needed, free = stored_bytes(data, count), free_memory()
    if free is not None and needed > free:
        raise UserError(
            f"data.cache=ram: {count:,} images take about {needed / GIB:,.1f} GiB and {free / GIB:,.1f} GiB are free; "
            "data.cache=disk keeps them in a file"
        )


def require_space(data: FileDataSet, folder: Path, count: int) -> None:
    """Raise `UserError` if stored forms would not fit onto the disk of the cache."""
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    needed, free = stored_bytes(data, count), shutil.disk_usage(existing).free
    if needed > free:
        raise UserError(
            f"data.cache=disk: {count:,} images take about {needed / GIB:,.1f} GiB and {folder} has {free / GIB:,.1f} "
            "GiB left; $ATTNBENCH_CACHE names another folder"
        )


def free_memory() -> int | None:
    """Bytes that programs can still get; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
