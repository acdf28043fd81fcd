"""Data sets of the Hugging Face hub that lie on disk; nothing is downloaded. Either

- a folder that `datasets.save_to_disk` wrote: of a `DatasetDict`, or of one `Dataset`, which is then trained on;
- or parquet files as the hub holds them: `root/data/train-00000-of-00002.parquet`, or in `root` itself, or in
  `root/train`, and the same of `validation` (or `val`) and `test`.

Splits are as in `image_folder`, except that a test split without a label is none: competitions keep theirs. Images of
Arrow files are read where they are; those of parquet files are unpacked into the cache folder before their first use.
"""

import json
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.sharded import Samples, ShardedDataSet
from attnbench.data.sources.parquet import ParquetImages
from attnbench.data.sources.shard_files import Shards
from attnbench.data.sources.split_names import WORDS, roles, split_files
from attnbench.data.splits import Split
from attnbench.errors import UserError, require

HOW = (
    "set data.root to a folder of datasets.save_to_disk, or of parquet files such as "
    "data/train-00000-of-00002.parquet; reading them needs pip install 'attnbench[hub]'"
)


class Hub(ShardedDataSet):
    """image_column, label: the columns that hold encoded images, and classes as numbers or names.

    Further options as in `FileDataSet`.
    """

    name = "hub"
    terms = "as the set's page on the hub says"

    def __init__(self, image_column: str = "image", label: str = "label", **options: Any) -> None:
        for key, column in (("image_column", image_column), ("label", label)):
            require(bool(column), key, column, "must name a column")
        self.image_column, self.label = image_column, label
        super().__init__(**options)

    @cached_property
    def shards(self) -> dict[Split, list[Path]]:
        """Files of each split. Raises `UserError` if there are none."""
        found = self._saved() or self._parquet()
        if "train" not in found:
            raise UserError(f"data={self.name}: no files of train in {self.root}; {HOW}")
        if "test" in found and not any(labelled(values).any() for values, _ in self._labels(found["test"])):
            told = f"{found['test'][0].parent} has a test split without labels, which is left out"
            print(f"attnbench: data={self.name}: {told}", file=sys.stderr, flush=True)
            del found["test"]
        return {split: found[word] for split, word in roles(found, self.name, self.root).items()}

    def _saved(self) -> dict[str, list[Path]]:
        """Files that `save_to_disk` wrote, none if it did not."""
        listed, single = self.root / "dataset_dict.json", self.root / "state.json"
        if listed.is_file():
            splits = self._json(listed, "splits")
            return {word: self._arrow(self.root / word / "state.json") for word in WORDS if word in splits}
        return {"train": self._arrow(single)} if single.is_file() else {}

    def _arrow(self, state: Path) -> list[Path]:
        paths = [state.parent / file["filename"] for file in self._json(state, "_data_files")]
        absent = next((path for path in paths if not path.is_file()), None)
        if absent is not None:
            raise UserError(f"data={self.name}: {state} names {absent.name}, which is not there")
        return paths

    def _json(self, path: Path, key: str) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))[key]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"data={self.name}: {path} is not what datasets.save_to_disk writes: {error}") from error

    def _parquet(self) -> dict[str, list[Path]]:
        found = (split_files(folder, ".parquet", self.name) for folder in (self.root, self.root / "data"))
        return next((files for files in found if files), {})

    def _labels(self, paths: list[Path]) -> list[tuple[NDArray[Any], tuple[str, ...] | None]]:
        """Labels of each file, and what numbers are called."""
        from attnbench.data.sources.arrow import read_labels

        return [read_labels(path, self.label) for path in paths]

    def samples(self, split: Split) -> Samples:
        from attnbench.data.sources.arrow import arrow_images, require_images

        paths = self.shards[split]
        shards, labels = Shards.of(self.root, paths), self._labels(paths)
        names = labels[0][1]
        for path, (values, others) in zip(paths, labels, strict=True):
            if others != names or values.dtype.kind != labels[0][0].dtype.kind:
                raise UserError(f"data={self.name}: {path}: its classes are not those of {paths[0].name}")
            self._require_labels(path, values, names)
        values, rows = np.concatenate([found for found, _ in labels]), tuple(len(found) for found, _ in labels)
        if not len(values):
            raise UserError(f"data={self.name}: {paths[0]}: {split} has no rows")
        if paths[0].suffix == ".parquet":
            for path in paths:
                require_images(path, self.image_column)
            unlabelled = np.empty(0, np.int64)
            return Samples(ParquetImages(shards, self.image_column, rows, unlabelled), values, names)
        return Samples(arrow_images(shards, self.image_column), values, names)

    def _require_labels(self, path: Path, values: NDArray[Any], names: tuple[str, ...] | None) -> None:
        """Raise `UserError` for a row without a label, or with one that has no name."""
        absent = np.flatnonzero(~labelled(values))
        if len(absent):
            raise UserError(f"data={self.name}: {path}: row {absent[0]} has no {self.label}")
        beyond = np.flatnonzero(values >= len(names)) if names is not None else absent
        if len(beyond):
            told = f"row {beyond[0]} has {self.label} {values[beyond[0]]}, but names end at {len(names or ()) - 1}"
            raise UserError(f"data={self.name}: {path}: {told}")


def labelled(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Mask (N,) of the samples that have a label: a name, or a number from 0."""
    return np.asarray(values != b"" if values.dtype.kind == "S" else values >= 0)
