"""Images in the tables of Hugging Face's `datasets` library: saved folders, read where they are, and parquet files.

Parquet files are compressed; the library unpacks their image column into the cache folder before its first use.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.sources.hub_files import (
    SavedTable,
    encoded_image,
    file_error,
    load_saved,
    missing_images,
    parquet_builder,
    readable,
    require_image_column,
    unpacked_bytes,
)
from attnbench.data.sources.image_files import Images, Part
from attnbench.data.sources.shard_files import Shards
from attnbench.errors import UserError

Integers = NDArray[np.int64]
GIB = 1024**3
log = logging.getLogger("attnbench.data")


@dataclass(frozen=True)
class SavedImages(Images):
    """One split that `save_to_disk` wrote.

    Attributes:
        folder: the split's folder.
        shards: its Arrow files.
        table: its rows.
        column: the column of images.
        labels: (N,) int64.
    """

    folder: Path
    shards: Shards
    table: SavedTable
    column: str
    labels: Integers

    def name(self, index: int) -> str:
        return f"{self.folder}: row {index}"

    def read(self, index: int) -> bytes:
        row = index if self.table.order is None else int(self.table.order[index])
        return encoded_image(self.table.rows, row, self.column)

    def parts(self, hash_all_sizes: bool) -> Sequence[Part]:
        """Return names and sizes of the files, the labels, and the rows that belong to the split."""
        parts = [*self.shards.parts, self.labels]
        return parts if self.table.order is None else [*parts, self.table.order]

    def stamps(self) -> Integers:
        """Return the latest time of change in ns and the size of all files, once for each image: (N, 2)."""
        changed, size = self.shards.stamps().T
        return np.tile([changed.max(), size.sum()], (len(self), 1))


def saved_images(folder: Path, shards: Shards, column: str, unlabelled: Integers) -> SavedImages:
    """Load the images of a saved split. Raises `UserError` if it is damaged or a row has no image."""
    table = load_saved(folder)
    require_image_column(folder, table.rows.features.arrow_schema, column)
    absent = missing_images(table.rows.data.column(column))
    if table.order is not None:
        absent = absent[table.order]
    if absent.any():
        raise _no_image(folder, absent)
    return SavedImages(folder, shards, table, column, unlabelled)


@dataclass(frozen=True)
class ParquetImages(Images):
    """One split in parquet files; `prepare` unpacks them.

    Attributes:
        shards: the files.
        column: the column of images.
        rows: how many rows each file has.
        labels: (N,) int64.
    """

    shards: Shards
    column: str
    rows: tuple[int, ...]
    labels: Integers

    def name(self, index: int) -> str:
        shard, row = self._place(index)
        return f"{self.shards.path(shard)}: row {row}"

    def read(self, index: int) -> bytes:
        shard, row = self._place(index)
        if shard not in self._tables:
            self._tables[shard] = self._table(shard)
        return encoded_image(self._tables[shard], row, self.column)

    def parts(self, hash_all_sizes: bool) -> Sequence[Part]:
        """Return names and sizes of the files, and the labels."""
        return [*self.shards.parts, self.labels]

    def stamps(self) -> Integers:
        """Return times of change in ns, and sizes, of each image's file: (N, 2)."""
        return np.repeat(self.shards.stamps(), self.rows, axis=0)

    def prepare(self) -> None:
        """Unpack the files that are not in the cache yet. Raises `UserError` if that fails or a row has no image."""
        folder = cache_folder() / "hub"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._unpack(folder)
        except OSError as error:
            reason = f"images cannot be unpacked into {folder}: {error.strerror or error}"
            raise UserError(f"data=hub: {reason}; $ATTNBENCH_CACHE names another folder") from error
        for shard in range(len(self.rows)):
            absent = missing_images(self._table(shard).data.column(self.column))
            if absent.any():
                raise _no_image(self.shards.path(shard), absent)

    def _unpack(self, folder: Path) -> None:
        builders = {path: parquet_builder(path, self.column) for path in map(self.shards.path, range(len(self.rows)))}
        missing = {path: builder for path, builder in builders.items() if not Path(builder.cache_dir).is_dir()}
        if not missing:
            return
        _require_space(folder, list(missing), self.column)
        for path, builder in missing.items():
            with readable(path):
                builder.download_and_prepare()

    def _place(self, index: int) -> tuple[int, int]:
        """Return the file of an image and its row there."""
        shard = int(np.searchsorted(self._ends, index, "right"))
        return shard, index - int(self._ends[shard]) + self.rows[shard]

    @cached_property
    def _ends(self) -> Integers:
        return np.cumsum(self.rows)

    @cached_property
    def _tables(self) -> dict[int, Any]:
        return {}

    def _table(self, shard: int) -> Any:
        """Open the unpacked rows of a file, memory-mapped. Raises `OSError` if it has changed since."""
        return parquet_builder(self.shards.path(shard), self.column).as_dataset("train").with_format("arrow")


def _no_image(path: Path, absent: NDArray[np.bool_]) -> UserError:
    return file_error(path, f"row {int(absent.argmax())} has no image in the file")


def _require_space(folder: Path, paths: Sequence[Path], column: str) -> None:
    """Raise `UserError` if the unpacked files would not fit, and log how large they become if they do."""
    needed, free = sum(unpacked_bytes(path, column) for path in paths), shutil.disk_usage(folder).free
    size = f"about {needed / GIB:,.1f} GiB"
    if needed > free:
        reason = f"unpacked images take {size} and {folder} has {free / GIB:,.1f} GiB left"
        raise UserError(f"data=hub: {reason}; $ATTNBENCH_CACHE names another folder")
    log.info("unpacking %s parquet files (%s) into %s, once", f"{len(paths):,}", size, folder)
