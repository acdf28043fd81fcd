"""Images that cannot be decoded: reported by name, or found before training and left out, so that counts are exact."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.passing import Decoded
from attnbench.data.loaders.workers import CHUNK, DecodeWorkers, Request
from attnbench.data.sources.cache_dir import cache_lock
from attnbench.data.sources.image_files import first_few
from attnbench.data.splits import Split
from attnbench.errors import UserError

Integers = NDArray[np.int64]
log = logging.getLogger("attnbench.data")


def chunked_requests(source: Split, members: Integers) -> list[Request]:
    """Return requests for images of a split, `CHUNK` images each."""
    return [Request(source, members[start : start + CHUNK]) for start in range(0, len(members), CHUNK)]


def raise_failures(
    data: FileDataSet, source: Split, chunks: Iterator[Decoded], skip_damaged: bool
) -> Iterator[Decoded]:
    """Yield decoded chunks unchanged, but raise `UserError` for the first failure in them.

    With `skip_damaged`, damaged images are accepted, but not those that could not be read: a broken disk is no reason
    to train on fewer images.
    """
    for chunk in chunks:
        for failure in chunk.failures:
            if not failure.damaged:
                raise UserError(f"data={data.name}: {data.listed(source).name(failure.member)}: {failure.reason}")
            if not skip_damaged:
                raise data.bad_image_error(source, failure.member, failure.reason)
        yield chunk


def find_bad_images(data: FileDataSet, source: Split, workers: DecodeWorkers, memory: Path) -> Integers:
    """Return the indices of the images of a split that cannot be decoded.

    All images are read once, and the result is kept in the file `memory`. Later, only images that were bad or have
    changed since are read again. Other processes wait meanwhile.
    """
    bad: Integers | None = None
    try:
        with cache_lock(memory):
            stamps = data.listed(source).stamps()
            bad = _decode_all(data, source, workers, images_to_check(memory, stamps))
            part = memory.with_suffix(".part.npz")
            try:
                np.savez(part, bad=bad, stamps=stamps)
                part.replace(memory)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"cannot cache the list of bad images in {memory.parent}: {error}", stacklevel=2)
    return _decode_all(data, source, workers, np.arange(len(data.listed(source)))) if bad is None else bad


def images_to_check(memory: Path, stamps: Integers) -> Integers:
    """Return the indices of images that have to be read to know which are bad.

    These are all images if there is no earlier result, otherwise those that were bad or whose stamps (N, 2) differ.
    """
    try:
        with np.load(memory) as kept:
            changed = (kept["stamps"] != stamps).any(axis=1)
            changed[kept["bad"]] = True
            return np.flatnonzero(changed)
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        warnings.warn(f"{memory} is damaged ({error}); reading all images again", stacklevel=3)
    return np.arange(len(stamps))


def _decode_all(data: FileDataSet, source: Split, workers: DecodeWorkers, members: Integers) -> Integers:
    """Decode images, and return the indices of those that cannot be decoded."""
    if len(members) == len(data.listed(source)):
        log.info("reading %s images to find those that cannot be decoded", f"{len(members):,}")
    chunks = raise_failures(data, source, workers.stream(chunked_requests(source, members)), skip_damaged=True)
    return np.array([failure.member for chunk in chunks for failure in chunk.failures], np.int64)


def log_skipped(data: FileDataSet, source: Split, bad: Sequence[int]) -> None:
    """Log which images are left out."""
    names = first_few([data.listed(source).name(member) for member in bad])
    log.warning("data.on_bad_image=skip leaves out what cannot be decoded: %s", names)
