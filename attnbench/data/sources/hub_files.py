"""Labels and tables of Hugging Face data sets on disk, read with the `datasets` library.

Nothing is downloaded, and no server is contacted: `datasets.load_dataset` would report each use to the hub, so parquet
files go through the library's reader of local files, on which `Dataset.from_parquet` is built.
"""

import errno
import glob
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.cache_dir import cache_folder
from attnbench.errors import NotInstalledError, UserError

try:
    import datasets
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from datasets.io.parquet import ParquetDatasetReader
except ImportError as error:
    message = "data=hub reads its files with datasets, which is not installed: pip install 'attnbench[hub]'"
    raise NotInstalledError(message) from error

Integers = NDArray[np.int64]
ROWS_AT_ONCE = 64
"""Rows of a parquet file that are read together to count their bytes."""
MOST_EXPANSION, ALWAYS_ACCEPTED = 1000, 2**26
"""A file that unpacks to more than so many times its size is no set of images, unless that is 64 MiB or less."""


class Labels(NamedTuple):
    """The labels of one parquet file or of one saved split.

    Attributes:
        path: the file or folder, for messages.
        values: (N,) class numbers (-1 where there is none), or class names in UTF-8 (empty where there is none).
        names: what class numbers stand for, if the features say so.
    """

    path: Path
    values: NDArray[Any]
    names: tuple[str, ...] | None


class SavedTable(NamedTuple):
    """A split that `save_to_disk` wrote.

    Attributes:
        rows: all rows of its files, memory-mapped.
        order: (N,) the rows that belong to the split, where an indices mapping was saved with it; None for all rows.
    """

    rows: Any
    order: Integers | None


def file_error(path: Path, reason: str) -> UserError:
    """Build the error for a file that cannot be used."""
    return UserError(f"data=hub: {path}: {reason}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise `UserError` for whatever the library cannot read. A full disk stays an `OSError`."""
    with _quiet_library():
        try:
            yield
        except Exception as error:  # damaged files raise what the library trips over: ArrowInvalid, KeyError, …
            cause = error.__cause__ or error
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise cause from error
            reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
            raise file_error(path, f"cannot be read: {' '.join(reason.split())[:200]}") from error


@contextmanager
def _quiet_library() -> Iterator[None]:
    """Hold back the library's progress bars and logs: it logs errors that it raises as well."""
    had_bars, verbosity = not datasets.utils.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(logging.CRITICAL)
    datasets.utils.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if had_bars:
            datasets.utils.enable_progress_bars()


def load_saved(folder: Path) -> SavedTable:
    """Load one split of `save_to_disk`. Raises `UserError` if it is damaged."""
    with readable(folder):
        rows = datasets.Dataset.load_from_disk(str(folder), keep_in_memory=False).with_format("arrow")
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        # versions below 2.0 saved what `select` and `shuffle` chose beside the rows; later ones do not read it
        mappings = [folder / file["filename"] for file in state.get("_indices_data_files") or ()]
        parts = [datasets.Dataset.from_file(str(path))["indices"][:] for path in mappings]
    return SavedTable(rows, np.concatenate(parts).astype(np.int64) if parts else None)


def read_labels(paths: Sequence[Path], column: str) -> list[Labels]:
    """Read the labels of a split: of each parquet file, or of the saved folder that holds the files.

    Raises:
        UserError: a file is damaged, or the column is missing or holds neither class numbers nor names.
    """
    if paths[0].suffix == ".parquet":
        return [_parquet_labels(path, column) for path in paths]
    folder = paths[0].parent
    rows, order = load_saved(folder)
    require_column(folder, rows.column_names, column)
    values, names = _label_values(folder, rows.data.column(column), rows.features[column], column)
    return [Labels(folder, values if order is None else values[order], names)]


def _parquet_labels(path: Path, column: str) -> Labels:
    with readable(path):
        schema, rows, size = pq.read_schema(path), pq.read_metadata(path).num_rows, path.stat().st_size
    if rows > size:
        raise file_error(path, f"claims to hold {rows:,} images in {size:,} bytes")
    require_column(path, schema.names, column)
    with readable(path):
        feature = datasets.Features.from_arrow_schema(schema)[column]
        table = pq.read_table(path, columns=[column], use_threads=False)
    return Labels(path, *_label_values(path, table[column], feature, column))


def _label_values(path: Path, cells: Any, feature: Any, column: str) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Turn a column into `Labels.values` and `Labels.names`."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_integer(cells.type):
        names = feature.names if isinstance(feature, datasets.ClassLabel) else None
        return pc.fill_null(cells.cast(pa.int64()), -1).to_numpy(), tuple(names) if names else None
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        return np.array([(name or "").encode() for name in cells.to_pylist()], np.bytes_), None
    raise file_error(path, f"{column} holds {cells.type}, neither numbers nor names of classes")


def require_column(path: Path, present: Sequence[str], column: str) -> None:
    """Raise `UserError` for a missing column."""
    if column not in present:
        reason = f"no column {column} (it has {', '.join(present)})"
        raise file_error(path, f"{reason}; data.image_column and data.label name what holds images and classes")


def require_image_column(path: Path, schema: Any, column: str) -> None:
    """Raise `UserError` unless a column of an Arrow schema holds encoded images, plain or in the field `bytes`."""
    require_column(path, schema.names, column)
    kind = schema.field(column).type
    structured = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    inner = kind.field("bytes").type if structured else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        raise file_error(path, f"data.image_column names a column of {kind}, not of encoded images")


def require_parquet_images(path: Path, column: str) -> None:
    """Raise `UserError` unless a parquet file has a column of encoded images."""
    with readable(path):
        schema = pq.read_schema(path)
    require_image_column(path, schema, column)


def missing_images(cells: Any) -> NDArray[np.bool_]:
    """Return a mask (N,) of the rows of an image column that hold no encoded image."""
    absent = [pc.is_null(cells)]
    if pa.types.is_struct(cells.type):
        absent.append(pc.is_null(pc.struct_field(cells, "bytes")))
    return np.asarray(np.any([mask.to_numpy() for mask in absent], axis=0))


def encoded_image(rows: Any, row: int, column: str) -> bytes:
    """Return the bytes of one image of a table in Arrow's format."""
    cell = rows[row][column][0].as_py()
    return cell["bytes"] if isinstance(cell, dict) else cell


def parquet_builder(path: Path, column: str) -> Any:
    """Make the library's builder of one column of a parquet file; its cache is in ours, and ends when the file changes.

    The cached table is at `builder.cache_dir` once `download_and_prepare` has run, which downloads nothing here.
    """
    escaped = glob.escape(str(path))  # the library takes paths for patterns
    return ParquetDatasetReader(escaped, cache_dir=str(cache_folder() / "hub"), columns=[column]).builder


def unpacked_bytes(path: Path, column: str) -> int:
    """Return how many bytes the images of a parquet file take when they are unpacked.

    The images are counted as they are read, because a footer does not tell: a repeated image is stored once, and
    compressed. Raises `UserError` for a file that images cannot be in.
    """
    with readable(path):
        kind = pq.read_schema(path).field(column).type
        leaf = f"{column}.bytes" if pa.types.is_struct(kind) else column
        groups = range(pq.read_metadata(path).num_row_groups)
        total = sum(_group_bytes(path, leaf, group) for group in groups)
    size = path.stat().st_size
    if total > MOST_EXPANSION * size and total > ALWAYS_ACCEPTED:
        raise file_error(path, f"its {size:,} bytes unpack to {total:,}, which images do not")
    return total


def _group_bytes(path: Path, leaf: str, group: int) -> int:
    """Count the bytes of the images in a group of rows."""
    for repeated_once in ([leaf], None):  # pyarrow cannot read some groups as a dictionary of what is repeated
        file = pq.ParquetFile(path, read_dictionary=repeated_once)
        try:
            batches = file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[leaf])
            return sum(_image_bytes(batch.column(0)) for batch in batches)
        except pa.ArrowNotImplementedError:
            if repeated_once is None:
                raise
    raise AssertionError


def _image_bytes(cells: Any) -> int:
    """Return the bytes of the images in a column, without putting repeated ones into memory."""
    if pa.types.is_struct(cells.type):
        cells = cells.field("bytes")
    if not pa.types.is_dictionary(cells.type):
        return int(pc.sum(pc.binary_length(cells)).as_py() or 0)
    lengths = pc.binary_length(cells.dictionary)
    return int(pc.sum(pc.take(lengths, cells.indices)).as_py() or 0)
