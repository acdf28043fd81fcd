"""Caches of stored images, in memory or in a file, so that each is decoded once."""

import contextlib
import logging
import os
import struct
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attnbench.data.loaders.passing import Decoded
from attnbench.data.loaders.workers import concatenate_pixels
from attnbench.data.sources.cache_dir import cache_lock

Integers = NDArray[np.int64]
log = logging.getLogger("attnbench.data")
MAGIC = b"attnbench images"
FOOTER = struct.Struct("<16sqq")
"""End of a cache file: magic bytes, number of images, number of pixels."""
PREFETCH = 16
"""Requests read ahead of use."""


class Store(Protocol):
    """Holds stored images of a split by their indices (N,) in its list of files."""

    def absent(self, members: Integers) -> Integers:
        """Return the indices of images that it does not hold."""

    def put(self, members: Integers, decoded: Decoded) -> None:
        """Store decoded images; `members` (N,) are their indices in the split's list of files."""

    def gather(self, members: Integers, pinned: bool) -> Decoded:
        """Return stored images, in page-locked memory if `pinned`."""


class MemoryStore:
    """Stored images in this process's memory, in the chunks in which they were decoded.

    Args:
        count: number of files of the split.
    """

    def __init__(self, count: int) -> None:
        self.chunks: list[NDArray[np.uint8]] = []
        self.places = np.full((count, 2), -1, np.int64)  # index of the chunk, and of the first pixel in it
        self.shapes = np.zeros((count, 4), np.int64)

    def absent(self, members: Integers) -> Integers:
        """Return the indices of images that it does not hold."""
        return members[self.places[members, 0] < 0]

    def put(self, members: Integers, decoded: Decoded) -> None:
        """Store decoded images; `members` (N,) are their indices in the split's list of files."""
        starts = np.concatenate([[0], np.cumsum(decoded.shapes[:, :2].prod(axis=1))[:-1]])
        self.places[members] = np.column_stack([np.full_like(starts, len(self.chunks)), starts])
        self.shapes[members] = decoded.shapes
        self.chunks.append(decoded.pixels.numpy().copy())

    def gather(self, members: Integers, pinned: bool) -> Decoded:
        """Return stored images, in page-locked memory if `pinned`."""
        shapes = self.shapes[members]
        ends = self.places[members, 1] + shapes[:, :2].prod(axis=1)
        parts = [
            self.chunks[chunk][start:end]
            for (chunk, start), end in zip(self.places[members].tolist(), ends.tolist(), strict=True)
        ]
        return Decoded(concatenate_pixels(parts, pinned), shapes)


class FileStore:
    """All images of a split in one memory-mapped file, so that processes share the system's page cache.

    The file holds the pixels, the shapes (N, 4) and a footer. One process writes it under a temporary name, while
    others wait, and renames it when it is complete.

    Args:
        path: the file.
        count: number of images.

    Raises:
        ValueError: the file is incomplete or has another number of images.
    """

    def __init__(self, path: Path, count: int) -> None:
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(max(0, size - FOOTER.size))
            footer = stream.read(FOOTER.size)
            if len(footer) < FOOTER.size:
                raise ValueError("it is too short")
            magic, images, pixels = FOOTER.unpack(footer)
            if (magic, images, 3 * pixels + 32 * images + FOOTER.size) != (MAGIC, count, size):
                raise ValueError("it is incomplete")
            stream.seek(3 * pixels)
            self.shapes = np.frombuffer(stream.read(32 * images), np.int64).reshape(images, 4)
        self.ends = np.cumsum(self.shapes[:, :2].prod(axis=1))
        self.pixels = np.memmap(path, np.uint8, "r", shape=(pixels, 3)) if pixels else np.empty((0, 3), np.uint8)

    def absent(self, members: Integers) -> Integers:
        """Return an empty (0,) index: the file holds every image."""
        return members[:0]

    def put(self, members: Integers, decoded: Decoded) -> None:
        """Raise `RuntimeError`: no image is ever absent."""
        raise RuntimeError("a file of stored images is always complete")

    def gather(self, members: Integers, pinned: bool) -> Decoded:
        """Return stored images, in page-locked memory if `pinned`."""
        shapes = self.shapes[members]
        ends = self.ends[members]
        starts = ends - shapes[:, :2].prod(axis=1)
        parts = [self.pixels[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        return Decoded(concatenate_pixels(parts, pinned), shapes)

    @property
    def bad(self) -> Integers:
        """Indices of images that could not be decoded when the file was written."""
        return np.flatnonzero(self.shapes[:, 0] == 0)


def open_or_write(path: Path, count: int, decode_all: Callable[[], Iterator[Decoded]]) -> FileStore:
    """Open the cache file at `path`, writing it first if it is missing or damaged; other processes wait meanwhile.

    An existing file may be in a read-only folder.

    Args:
        path: the file.
        count: number of images.
        decode_all: decodes all images of the split in their order.
    """
    with contextlib.suppress(FileNotFoundError, ValueError):
        return FileStore(path, count)
    with cache_lock(path):
        try:
            return FileStore(path, count)
        except FileNotFoundError:
            log.info("decoding %s images into %s, once", f"{count:,}", path)
        except ValueError as error:
            warnings.warn(f"{path}: {error}; writing it again", stacklevel=2)
        _write(path, decode_all())
        return FileStore(path, count)


def _write(path: Path, chunks: Iterator[Decoded]) -> None:
    """Write a file of stored images atomically."""
    part = path.with_suffix(".part")
    shapes = [np.empty((0, 4), np.int64)]
    try:
        with part.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk.pixels.numpy().data)
                shapes.append(chunk.shapes)
            table = np.concatenate(shapes)
            stream.write(table.tobytes())
            stream.write(FOOTER.pack(MAGIC, len(table), int(table[:, :2].prod(axis=1).sum())))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_through(
    store: Store | None,
    requests: Sequence[Integers],
    decode: Callable[[Sequence[Integers]], Iterator[Decoded]],
    pinned: bool = False,
) -> Iterator[Decoded]:
    """Yield the images of each request, from the store or, if it lacks them, decoded and put there."""
    if store is None:
        return decode(requests)
    absent = [store.absent(members) for members in requests]
    missing = [members for members in absent if len(members)]
    if not missing:
        return prefetched(store, requests, pinned)
    return _completed(store, requests, absent, decode(missing), pinned)


def _completed(
    store: Store, requests: Sequence[Integers], absent: Sequence[Integers], chunks: Iterator[Decoded], pinned: bool
) -> Iterator[Decoded]:
    for members, lacking in zip(requests, absent, strict=True):
        if len(lacking):
            store.put(lacking, next(chunks))
        yield store.gather(members, pinned)


def prefetched(store: Store, requests: Sequence[Integers], pinned: bool) -> Iterator[Decoded]:
    """Yield the images of each request from the store, copied by a thread ahead of use."""
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="images") as pool:
        for members in requests:
            waiting.append(pool.submit(store.gather, members, pinned))
            if len(waiting) > PREFETCH:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
