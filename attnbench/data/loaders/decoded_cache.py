"""Stored forms that need not be decoded again: in memory, or in a file."""

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
from filelock import FileLock
from numpy.typing import NDArray

from attnbench.data.loaders.workers import Decoded, joined

Integers = NDArray[np.int64]
log = logging.getLogger("attnbench.data")
MAGIC = b"attnbench images"
FOOTER = struct.Struct("<16sqq")
"""End of a stored file: what it is, its number of images, its number of pixels."""
AHEAD = 16
"""Requests gathered ahead of their use."""


class Store(Protocol):
    """Holds stored forms of a split's images, by their places in its list of files."""

    def absent(self, members: Integers) -> Integers:
        """Those that it does not hold."""

    def put(self, members: Integers, decoded: Decoded) -> None:
        """Take in what was absent."""

    def gather(self, members: Integers, pinned: bool) -> Decoded:
        """Stored forms, one after another."""


class MemoryStore:
    """Keeps what it is given in this process's memory, as it comes: nothing is moved when more follows."""

    def __init__(self, count: int) -> None:
        self.chunks: list[NDArray[np.uint8]] = []
        self.places = np.full((count, 2), -1, np.int64)  # chunk, and first pixel in it
        self.shapes = np.zeros((count, 4), np.int64)

    def absent(self, members: Integers) -> Integers:
        """Those that it does not hold."""
        return members[self.places[members, 0] < 0]

    def put(self, members: Integers, decoded: Decoded) -> None:
        """Take in what was absent."""
        starts = np.concatenate([[0], np.cumsum(decoded.shapes[:, :2].prod(axis=1))[:-1]])
        self.places[members] = np.column_stack([np.full_like(starts, len(self.chunks)), starts])
        self.shapes[members] = decoded.shapes
        self.chunks.append(decoded.pixels.numpy().copy())

    def gather(self, members: Integers, pinned: bool) -> Decoded:
        """Stored forms, one after another."""
        shapes = self.shapes[members]
        ends = self.places[members, 1] + shapes[:, :2].prod(axis=1)
        parts = [
            self.chunks[chunk][start:end]
            for (chunk, start), end in zip(self.places[members].tolist(), ends.tolist(), strict=True)
        ]
        return Decoded(joined(parts, pinned), shapes)


class FileStore:
    """All images of a split in one file, mapped into memory: processes that train on them share the system's cache.

    The file holds the pixels, the shapes (N, 4) and a footer. It is written under another name, by one process while
    others wait, and renamed when it is whole. Raises `ValueError` for a file that is not.
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
                raise ValueError("it is not whole")
            stream.seek(3 * pixels)
            self.shapes = np.frombuffer(stream.read(32 * images), np.int64).reshape(images, 4)
        self.ends = np.cumsum(self.shapes[:, :2].prod(axis=1))
        self.pixels = np.memmap(path, np.uint8, "r", shape=(pixels, 3)) if pixels else np.empty((0, 3), np.uint8)

    def absent(self, members: Integers) -> Integers:
        """Nothing is."""
        return members[:0]

    def put(self, members: Integers, decoded: Decoded) -> None:
        """Never called, as nothing is absent."""
        raise RuntimeError("a file of stored images is complete from the start")

    def gather(self, members: Integers, pinned: bool) -> Decoded:
        """Stored forms, one after another."""
        shapes = self.shapes[members]
        ends = self.ends[members]
        starts = ends - shapes[:, :2].prod(axis=1)
        parts = [self.pixels[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        return Decoded(joined(parts, pinned), shapes)

    @property
    def bad(self) -> Integers:
        """Images that could not be decoded when the file was written."""
        return np.flatnonzero(self.shapes[:, 0] == 0)


def stored_file(path: Path, count: int, answers: Callable[[], Iterator[Decoded]]) -> FileStore:
    """The file at `path`, written from `answers` unless it is there; other processes wait meanwhile.

    One that is there may lie where nobody can write.
    """
    with contextlib.suppress(FileNotFoundError, ValueError):
        return FileStore(path, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        try:
            return FileStore(path, count)
        except FileNotFoundError:
            log.info("decoding %s images into %s, once", f"{count:,}", path)
        except ValueError as error:
            warnings.warn(f"{path}: {error}; writing it anew", stacklevel=2)
        _write(path, answers())
        return FileStore(path, count)


def _write(path: Path, answers: Iterator[Decoded]) -> None:
    """Write a file of stored images, whole or not at all."""
    part = path.with_suffix(".part")  # one that a killed process left is overwritten
    shapes = [np.empty((0, 4), np.int64)]
    try:
        with part.open("wb") as stream:
            for answer in answers:
                stream.write(answer.pixels.numpy().data)
                shapes.append(answer.shapes)
            table = np.concatenate(shapes)
            stream.write(table.tobytes())
            stream.write(FOOTER.pack(MAGIC, len(table), int(table[:, :2].prod(axis=1).sum())))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def through(
    store: Store | None,
    requests: Sequence[Integers],
    decode: Callable[[Sequence[Integers]], Iterator[Decoded]],
    pinned: bool = False,
) -> Iterator[Decoded]:
    """Answers to requests in their order: from the store where it holds the images, else decoded and put there."""
    if store is None:
        return decode(requests)
    absent = [store.absent(members) for members in requests]
    missing = [members for members in absent if len(members)]
    if not missing:
        return gathered_ahead(store, requests, pinned)
    return _completed(store, requests, absent, decode(missing), pinned)


def _completed(
    store: Store, requests: Sequence[Integers], absent: Sequence[Integers], answers: Iterator[Decoded], pinned: bool
) -> Iterator[Decoded]:
    for members, lacking in zip(requests, absent, strict=True):
        if len(lacking):
            store.put(lacking, next(answers))
        yield store.gather(members, pinned)


def gathered_ahead(store: Store, requests: Sequence[Integers], pinned: bool) -> Iterator[Decoded]:
    """Answers from the store, gathered by a thread ahead of their use: copying waits for nothing but memory."""
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="images") as pool:
        for members in requests:
            waiting.append(pool.submit(store.gather, members, pinned))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
