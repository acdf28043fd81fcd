"""Tar files in webdataset's layout on disk: `root/train-000000.tar` or `root/train/*.tar`, and the same for `val` (or
`validation`) and `test`.

A sample is `<key>.jpg` (png, webp, …) with `<key>.cls`, the number of its class, or `<key>.json`, with the class in
one of its fields. Splits are as in `image_folder`. Each tar file is indexed once; from then on, images are read from it
in any order.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attnbench.data.bases.sharded import Samples, ShardedDataSet
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.sources.shard_files import ShardImages, Shards
from attnbench.data.sources.split_names import roles, split_files, split_folders, unused_files, words_of
from attnbench.data.sources.tar_index import Index, read_index
from attnbench.data.sources.tar_samples import AUTO
from attnbench.data.splits import Split
from attnbench.errors import UserError, require

COMPRESSED = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
HOW = "set data.root to a folder that holds train-000000.tar … or train/*.tar, and the same of val or test"


class TarShards(ShardedDataSet):
    """Images in webdataset's tar files.

    Args:
        label: the field of `.json` that holds the class; `auto` is the number in `.cls`, or else the field `label`.
        options: see `FileDataSet`.
    """

    name = "shards"

    def __init__(self, label: str = AUTO, **options: Any) -> None:
        require(bool(label), "label", label, "must name a field of .json, or be auto")
        self.label = label
        self._indices: dict[Split, Index] = {}
        super().__init__(**options)

    @cached_property
    def shards(self) -> dict[Split, list[Path]]:
        """Tar files of each split. Raises `UserError` if there are none, or they are compressed."""
        compressed = [path for suffix in COMPRESSED for path in self._candidates(suffix)]
        if compressed:
            problem = "compressed, so that images cannot be read one by one; unpack it to a plain .tar"
            raise UserError(f"data={self.name}: {min(compressed)} is {problem}")
        files = split_files(self.root, ".tar", self.name)
        found = roles(files, self.name, self.root)
        if "train" not in found:
            raise UserError(f"data={self.name}: no tar files of train in {self.root}; {HOW}")
        return {split: files[name] for split, name in found.items()}

    def _candidates(self, suffix: str) -> list[Path]:
        named = [path for path in self.root.glob(f"*{suffix}") if words_of(path)]
        return named + [path for name in split_folders(self.root) for path in (self.root / name).glob(f"*{suffix}")]

    def left_out(self) -> LeftOut:
        left_out = unused_files(self.root, [path for paths in self.shards.values() for path in paths], ".tar")
        for split in self.shards:
            left_out.include(self._index(split).left_out)
        return left_out

    def _index(self, split: Split) -> Index:
        """Read the index of a split, once."""
        if split not in self._indices:
            self._indices[split] = read_index(Shards.of(self.root, self.shards[split]), self.label, split)
        return self._indices[split]

    def samples(self, split: Split) -> Samples:
        shards, index = Shards.of(self.root, self.shards[split]), self._index(split)
        unlabelled = np.empty(0, np.int64)
        images = ShardImages(shards, index.shard, index.offsets, index.lengths, unlabelled, index.keys)
        return Samples(images, index.values)
