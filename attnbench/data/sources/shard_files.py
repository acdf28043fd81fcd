"""Many images in few files: where each one's bytes lie, and reading them in whatever order."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.image_files import Images, Names, Part, stamps_of

Integers = NDArray[np.int64]
MOST_OPEN = 128
"""Files that a process keeps open; systems allow some hundred, and a large set has more."""


class OpenFiles:
    """Reads parts of files, and keeps those open that were read last: opening is slow on a network's file system."""

    def __init__(self) -> None:
        self._owner, self._streams = os.getpid(), OrderedDict[Path, BinaryIO]()

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenFiles, ()  # another process opens its own

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Bytes of a file. Raises `OSError` if it cannot be read, or ends before them."""
        stream = self._stream(path)
        stream.seek(offset)
        content = stream.read(size)
        if len(content) < size:
            raise OSError(f"{path.name} ends before byte {offset + size:,}: it has changed")
        return content

    def _stream(self, path: Path) -> BinaryIO:
        if self._owner != os.getpid():  # forked: the parent's streams share their positions with ours
            self._owner, self._streams = os.getpid(), OrderedDict()
        stream = self._streams.pop(path, None) or path.open("rb")
        self._streams[path] = stream
        if len(self._streams) > MOST_OPEN:
            self._streams.popitem(last=False)[1].close()
        return stream


@dataclass(frozen=True)
class Shards:
    """Files of a split that hold many samples each. root: where `names` start from. sizes: in bytes."""

    root: Path
    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, root: Path, paths: Sequence[Path]) -> "Shards":
        """The files at these paths, which lie below `root`."""
        names = tuple(path.relative_to(root).as_posix() for path in paths)
        return cls(root, names, tuple(path.stat().st_size for path in paths))

    def path(self, shard: int) -> Path:
        """Where a shard lies."""
        return self.root / self.names[shard]

    def stamps(self) -> Integers:
        """Times of change in ns, and sizes: (shards, 2)."""
        return stamps_of(self.root / name for name in self.names)

    @property
    def parts(self) -> list[Part]:
        """What tells these shards from others, wherever they lie."""
        return ["\0".join(self.names).encode(), np.asarray(self.sizes, np.int64)]


@dataclass(frozen=True)
class ShardImages(Images):
    """One split in shards.

    shard: (N,) which one holds an image, ascending. offsets, lengths: (N,) of its bytes there. labels: (N,) int64.
    keys: (N,) what the samples are called; None where they are counted.
    """

    shards: Shards
    shard: NDArray[np.int32]
    offsets: Integers
    lengths: Integers
    labels: Integers
    keys: Names | None = None
    files: OpenFiles = field(default_factory=OpenFiles, repr=False, compare=False)

    def name(self, index: int) -> str:
        shard = int(self.shard[index])
        path = self.shards.path(shard)
        if self.keys is None:
            return f"{path}: row {index - int(np.searchsorted(self.shard, shard))}"
        return f"{path}: {os.fsdecode(self.keys[index])}"

    def read(self, index: int) -> bytes:
        path = self.shards.path(int(self.shard[index]))
        return self.files.read(path, int(self.offsets[index]), int(self.lengths[index]))

    def parts(self, every_size: bool) -> Sequence[Part]:
        """Names and sizes of the shards, labels, and where the images lie."""
        return [*self.shards.parts, self.labels, self.offsets, self.lengths]

    def stamps(self) -> Integers:
        """Times of change in ns, and sizes, of each image's shard: (N, 2)."""
        return self.shards.stamps()[self.shard]
