"""Many images in few files: the position of each one's bytes, and reading them in any order."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.folders import Names
from attnbench.data.sources.image_files import Images, Part, stamps_of

Integers = NDArray[np.int64]
MAX_OPEN_FILES = 128
"""Files that a process keeps open; systems allow a few hundred, and a large set has more."""


class OpenFiles:
    """Reads parts of files and keeps the latest files open, because opening is slow on a network file system."""

    def __init__(self) -> None:
        self._owner, self._streams = os.getpid(), OrderedDict[Path, BinaryIO]()

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenFiles, ()  # another process opens them itself

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Read bytes of a file. Raises `OSError` if it cannot be read, or ends before them."""
        stream = self._stream(path)
        stream.seek(offset)
        content = stream.read(size)
        if len(content) < size:
            raise OSError(f"{path.name} ends before byte {offset + size:,}: it has changed")
        return content

    def _stream(self, path: Path) -> BinaryIO:
        if self._owner != os.getpid():  # after a fork, streams share their positions with the parent's
            self._owner, self._streams = os.getpid(), OrderedDict()
        stream = self._streams.pop(path, None) or path.open("rb")
        self._streams[path] = stream
        if len(self._streams) > MAX_OPEN_FILES:
            self._streams.popitem(last=False)[1].close()
        return stream


@dataclass(frozen=True)
class Shards:
    """Files of a split, with many samples each.

    Attributes:
        root: the folder that `names` are relative to.
        names: relative paths.
        sizes: in bytes.
    """

    root: Path
    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, root: Path, paths: Sequence[Path]) -> "Shards":
        """Describe the files at these paths below `root`."""
        names = tuple(path.relative_to(root).as_posix() for path in paths)
        return cls(root, names, tuple(path.stat().st_size for path in paths))

    def path(self, shard: int) -> Path:
        """Return the path of a shard."""
        return self.root / self.names[shard]

    def stamps(self) -> Integers:
        """Return modification times in ns, and sizes: (shards, 2)."""
        return stamps_of(self.root / name for name in self.names)

    @property
    def parts(self) -> list[Part]:
        """Values that distinguish these shards from others, independent of their folder."""
        return ["\0".join(self.names).encode(), np.asarray(self.sizes, np.int64)]


@dataclass(frozen=True)
class ShardImages(Images):
    """One split in shards.

    Attributes:
        shards: the files.
        shard: (N,) index of the file that holds each image, ascending.
        offsets: (N,) position of its first byte there.
        lengths: (N,) number of its bytes.
        labels: (N,) int64.
        keys: (N,) names of the samples.
        files: the open files.
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

    def parts(self, hash_all_sizes: bool) -> Sequence[Part]:
        """Return names and sizes of the shards, labels, and positions of the images."""
        return [*self.shards.parts, self.labels, self.offsets, self.lengths]

    def stamps(self) -> Integers:
        """Return modification times in ns, and sizes, of each image's shard: (N, 2)."""
        return self.shards.stamps()[self.shard]
