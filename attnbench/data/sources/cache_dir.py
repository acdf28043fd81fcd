"""The cache folder, and generated images kept there between runs: one file for each split."""

import os
import warnings
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from attnbench.data.sources.arrays import Arrays


def cache_folder() -> Path:
    """Return the cache folder: `$ATTNBENCH_CACHE`, or `attnbench` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ATTNBENCH_CACHE") or Path(base) / "attnbench")


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
    """Cache a split with its boxes, atomically. If that fails, warn: the images will be generated again."""
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    assert arrays.boxes is not None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            np.savez(temporary, images=arrays.images, labels=arrays.labels, boxes=arrays.boxes)
            temporary.replace(path)
        finally:  # a full disk or Ctrl-C may leave hundreds of megabytes
            temporary.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"cannot cache generated images in {path.parent}: {error}", stacklevel=2)
