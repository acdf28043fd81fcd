"""Hugging Face data sets on disk; nothing is downloaded. `root` is one of

- a folder written by `datasets.save_to_disk`: of a `DatasetDict`, or of a single `Dataset`, which is the training set;
- a folder of parquet files as on the hub: `root/data/train-00000-of-00002.parquet`, or in `root` itself, or in
  `root/train`, and the same for `validation` (or `val`) and `test`.

Splits are as in `image_folder`, except that a test split without labels, as in competitions, is left out. Images of
saved folders are read where they are; parquet files are unpacked into the cache folder before their first use.
"""

import json
import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.sharded import Samples, ShardedDataSet
from attnbench.data.sources.folders import NO_SPLIT
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.sources.shard_files import Shards
from attnbench.data.sources.split_names import WORDS, roles, split_files, unused_files
from attnbench.data.splits import Split
from attnbench.errors import UserError, require

if TYPE_CHECKING:
    from attnbench.data.sources.hub_files import Labels

log = logging.getLogger("attnbench.data")
HOW = (
    "set data.root to a folder of datasets.save_to_disk, or of parquet files such as "
    "data/train-00000-of-00002.parquet; reading them needs pip install 'attnbench[hub]'"
)


class Hub(ShardedDataSet):
    """A Hugging Face data set on disk.

    Args:
        image_column: the column of encoded images.
        label: the column of classes, as numbers or names.
        options: see `FileDataSet`.
    """

    name = "hub"
    terms = "see the set's page on the hub"

    def __init__(self, image_column: str = "image", label: str = "label", **options: Any) -> None:
        for key, column in (("image_column", image_column), ("label", label)):
            require(bool(column), key, column, "must name a column")
        self.image_column, self.label = image_column, label
        super().__init__(**options)

    @property
    def read_from(self) -> str:
        return self.image_column

    @cached_property
    def shards(self) -> dict[Split, list[Path]]:
        """Files of each split. Raises `UserError` if there are none."""
        files = self._saved() or self._parquet()
        found = roles(files, self.name, self.root)
        if "train" not in found:
            raise UserError(f"data={self.name}: no files of train in {self.root}; {HOW}")
        if "test" in found and not any(has_label(part.values).any() for part in self._labels(files[found["test"]])):
            log.warning("data=%s: %s has a test split without labels; it is left out", self.name, self.root)
            del files[found["test"]]
            found = roles(files, self.name, self.root)
        return {split: files[name] for split, name in found.items()}

    def left_out(self) -> LeftOut:
        used = [path for paths in self.shards.values() for path in paths]
        if used[0].suffix == ".parquet":
            return unused_files(self.root, used, ".parquet")
        left_out, listed = LeftOut(), self.root / "dataset_dict.json"
        if listed.is_file():
            folders = {path.parent.name for path in used}
            left_out.add(NO_SPLIT, (str(name) for name in self._json(listed, "splits") if name not in folders))
        return left_out

    def _saved(self) -> dict[str, list[Path]]:
        """Return the files of a folder written by `save_to_disk`; none if it is not such a folder."""
        listed, single = self.root / "dataset_dict.json", self.root / "state.json"
        if listed.is_file():
            splits = self._json(listed, "splits")
            return {name: self._arrow(self.root / name / "state.json") for name in splits if name.lower() in WORDS}
        return {"train": self._arrow(single)} if single.is_file() else {}

    def _arrow(self, state: Path) -> list[Path]:
        paths = [state.parent / file["filename"] for file in self._json(state, "_data_files")]
        if not paths:
            raise UserError(f"data={self.name}: {state} names no files")
        missing = next((path for path in paths if not path.is_file()), None)
        if missing is not None:
            raise UserError(f"data={self.name}: {state} names {missing.name}, which is missing")
        return paths

    def _json(self, path: Path, key: str) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))[key]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(f"data={self.name}: {path} is not what datasets.save_to_disk writes: {error}") from error

    def _parquet(self) -> dict[str, list[Path]]:
        candidates = (split_files(folder, ".parquet", self.name) for folder in (self.root, self.root / "data"))
        return next((files for files in candidates if files), {})

    def _labels(self, paths: list[Path]) -> "list[Labels]":
        from attnbench.data.sources.hub_files import read_labels

        return read_labels(paths, self.label)

    def samples(self, split: Split) -> Samples:
        from attnbench.data.sources.hub_files import require_parquet_images
        from attnbench.data.sources.hub_images import ParquetImages, saved_images

        paths = self.shards[split]
        labels = self._labels(paths)
        self._require_labels(labels)
        values, names = np.concatenate([part.values for part in labels]), labels[0].names
        if not len(values):
            raise UserError(f"data={self.name}: {paths[0]}: {split} has no rows")
        shards, unlabelled = Shards.of(self.root, paths), np.empty(0, np.int64)
        if paths[0].suffix == ".arrow":
            return Samples(saved_images(paths[0].parent, shards, self.image_column, unlabelled), values, names)
        for path in paths:
            require_parquet_images(path, self.image_column)
        rows = tuple(len(part.values) for part in labels)
        return Samples(ParquetImages(shards, self.image_column, rows, unlabelled), values, names)

    def _require_labels(self, labels: "list[Labels]") -> None:
        """Raise `UserError` for files with other classes, and for rows without a label or with an unnamed one."""
        first = labels[0]
        for path, values, names in labels:
            if names != first.names or values.dtype.kind != first.values.dtype.kind:
                raise UserError(f"data={self.name}: {path}: its classes are not those of {first.path.name}")
            absent = np.flatnonzero(~has_label(values))
            if len(absent):
                raise UserError(f"data={self.name}: {path}: row {absent[0]} has no {self.label}")
            beyond = np.flatnonzero(values >= len(names)) if names is not None else absent
            if len(beyond):
                reason = (
                    f"row {beyond[0]} has {self.label} {values[beyond[0]]}, but names end at {len(names or ()) - 1}"
                )
                raise UserError(f"data={self.name}: {path}: {reason}")


def has_label(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask (N,) of the samples that have a label: a name, or a number from 0."""
    return np.asarray(values != b"" if values.dtype.kind == "S" else values >= 0)
