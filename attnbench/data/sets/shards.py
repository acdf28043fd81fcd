"""Tar files in webdataset's layout on disk: `root/train-000000.tar` or `root/train/*.tar`, and the same for `val` (or
`validation`) and `test`.

A sample is `<key>.jpg` (jpeg, png, webp) with `<key>.cls`, the number of its class, or `<key>.json`, with the class in
one of its fields. Splits are as in `image_folder`. Each tar file is indexed once; from then on, images are read from it
in any order.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attnbench.data.bases.sharded import Samples, ShardedDataSet
from attnbench.data.sources.shard_files import ShardImages, Shards
from attnbench.data.sources.split_names import WORDS, roles, split_files, words_of
from attnbench.data.sources.tar_index import AUTO, read_index
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
        super().__init__(**options)

    @cached_property
    def shards(self) -> dict[Split, list[Path]]:
        """Tar files of each split. Raises `UserError` if there are none, or they are compressed."""
        compressed = [path for suffix in COMPRESSED for path in self._candidates(suffix)]
        if compressed:
            problem = "compressed, so that images cannot be read one by one; unpack it to a plain .tar"
            raise UserError(f"data={self.name}: {min(compressed)} is {problem}")
        files = split_files(self.root, ".tar", self.name)
        if "train" not in files:
            raise UserError(f"data={self.name}: no tar files of train in {self.root}; {HOW}")
        return {split: files[word] for split, word in roles(files, self.name, self.root).items()}

    def _candidates(self, suffix: str) -> list[Path]:
        named = [path for path in self.root.glob(f"*{suffix}") if words_of(path)]
        return named + [path for word in WORDS for path in (self.root / word).glob(f"*{suffix}")]

    def samples(self, split: Split) -> Samples:
        shards = Shards.of(self.root, self.shards[split])
        index = read_index(shards, self.label, split)
        unlabelled = np.empty(0, np.int64)
        images = ShardImages(shards, index.shard, index.offsets, index.lengths, unlabelled, index.keys)
        return Samples(images, index.values)
