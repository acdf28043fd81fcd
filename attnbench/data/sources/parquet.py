"""Images in the rows of parquet files, whose pages are compressed: they are unpacked into the cache folder once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.sources.image_files import Images, Part
from attnbench.data.sources.shard_files import ShardImages, Shards

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ParquetImages(Images):
    """One split in parquet files.

    column: that holds the images. rows: of each shard. labels: (N,) int64. Images can be read when the file at `ends`
    is there for each shard; see `attnbench.data.sources.arrow.unpack`.
    """

    shards: Shards
    column: str
    rows: tuple[int, ...]
    labels: Integers

    def name(self, index: int) -> str:
        last = np.cumsum(self.rows)
        shard = int(np.searchsorted(last, index, "right"))
        return f"{self.shards.path(shard)}: row {index - int(last[shard]) + self.rows[shard]}"

    def read(self, index: int) -> bytes:
        return self.unpacked.read(index)

    def prepare(self) -> None:
        from attnbench.data.sources.arrow import unpack

        unpack(self)

    def parts(self, every_size: bool) -> Sequence[Part]:
        """Names and sizes of the shards, and labels."""
        return [*self.shards.parts, self.labels]

    def stamps(self) -> Integers:
        """Times of change in ns, and sizes, of each image's shard: (N, 2)."""
        return np.repeat(self.shards.stamps(), self.rows, axis=0)

    @cached_property
    def folder(self) -> Path:
        """Where the images are unpacked: told by names, sizes and times of change of the shards."""
        times = [self.shards.path(number).stat().st_mtime_ns for number in range(len(self.rows))]
        what = repr((self.shards.names, self.shards.sizes, times, self.column))
        return cache_folder() / f"hub-{hashlib.sha256(what.encode()).hexdigest()[:16]}"

    def content(self, shard: int) -> Path:
        """The images of a shard, one after another."""
        return self.folder / f"{shard:05d}.bytes"

    def ends(self, shard: int) -> Path:
        """Where each of them ends (rows,); written last, so that the images are whole if it is there."""
        return self.folder / f"{shard:05d}.ends.npy"

    @cached_property
    def unpacked(self) -> ShardImages:
        """Where the images lie now."""
        ends = [np.load(self.ends(shard)) for shard in range(len(self.rows))]
        lengths = np.concatenate([np.diff(last, prepend=0) for last in ends])
        shard = np.repeat(np.arange(len(ends), dtype=np.int32), self.rows)
        names = tuple(self.content(number).name for number in range(len(ends)))
        places = Shards(self.folder, names, self.shards.sizes)
        return ShardImages(places, shard, np.concatenate(ends) - lengths, lengths, self.labels)
