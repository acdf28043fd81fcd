"""Reading what the `datasets` library writes, parquet and Arrow files, with pyarrow alone.

Images lie encoded in a column of binary values, or of structures with a field `bytes` (the library's `Image`). Arrow
files (`save_to_disk`) are not compressed, so that images can be read where they are; parquet files are unpacked.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from attnbench.data.sources.parquet import ParquetImages
from attnbench.data.sources.shard_files import ShardImages, Shards
from attnbench.errors import UserError

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:
    told = "data=hub reads its files with pyarrow, which is not installed: pip install 'attnbench[hub]'"
    raise UserError(told) from error

Integers = NDArray[np.int64]
BATCH = 64
"""Rows of a parquet file that are unpacked at a time."""
GIB = 1024**3


def wrong(path: Path, told: str) -> UserError:
    """What to say of a file."""
    return UserError(f"data=hub: {path}: {told}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise `UserError` for a file that pyarrow cannot read."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise wrong(path, f"cannot be read: {' '.join(reason.split())[:200]}") from error


def read_table(path: Path, columns: Sequence[str]) -> Any:
    """Columns of a parquet file, or of an Arrow file, mapped into memory. Raises `UserError` if one is not there."""
    with readable(path):
        if path.suffix == ".parquet":
            require_columns(path, pq.read_schema(path).names, columns)
            return pq.read_table(path, columns=list(columns), use_threads=False)
        table = pa.ipc.open_stream(pa.memory_map(os.fspath(path))).read_all()
    require_columns(path, table.column_names, columns)
    return table


def require_columns(path: Path, there: Sequence[str], columns: Sequence[str]) -> None:
    """Raise `UserError` for a column that is not there."""
    for column in columns:
        if column not in there:
            told = f"no column {column} (it has {', '.join(there)})"
            raise wrong(path, f"{told}; data.image_column and data.label name what holds images and classes")


def class_names(schema: Any, column: str) -> tuple[str, ...] | None:
    """Names of a `ClassLabel`, which the library keeps beside the schema; None where there are none."""
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = described.get("info", {}).get("features", {}).get(column, {})
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(map(str, names)) if names else None


def read_labels(path: Path, column: str) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Labels (N,) of a file, numbers or names in UTF-8, and the names of numbers. Without one: -1, or nothing."""
    table = read_table(path, [column])
    values, kind = table[column], table.schema.field(column).type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind):
        return pc.fill_null(values.cast(pa.int64()), -1).to_numpy(), class_names(table.schema, column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array([(name or "").encode() for name in values.to_pylist()], np.bytes_), None
    raise wrong(path, f"{column} holds {kind}, neither numbers nor names of classes")


def holds_structures(path: Path, kind: Any) -> bool:
    """Whether a column of images holds structures, not binary values. Raises `UserError` for other contents."""
    structured = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    inner = kind.field("bytes").type if structured else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        raise wrong(path, f"data.image_column names a column of {kind}, not of encoded images")
    return structured


def require_images(path: Path, column: str) -> None:
    """Raise `UserError` unless a parquet file has a column of images."""
    with readable(path):
        schema = pq.read_schema(path)
    require_columns(path, schema.names, [column])
    holds_structures(path, schema.field(column).type)


def encoded(path: Path, column: Any, first: int = 0) -> Any:
    """The binary array of a column's chunk, whose first row is row `first`. Raises `UserError` for an absent image."""
    inner = column.field("bytes") if holds_structures(path, column.type) else column
    absent = np.flatnonzero(pc.is_null(column).to_numpy(False) | pc.is_null(inner).to_numpy(False))
    if len(absent):
        raise wrong(path, f"row {first + int(absent[0])} has no image in the file")
    return inner


def bounds(array: Any) -> Integers:
    """Where values (N,) of a binary array lie in its data: N + 1 edges."""
    wide = pa.types.is_large_binary(array.type)
    edges = np.frombuffer(array.buffers()[1], np.int64 if wide else np.int32)
    return edges[array.offset : array.offset + len(array) + 1].astype(np.int64)


def arrow_images(shards: Shards, column: str) -> ShardImages:
    """Where images lie in Arrow files. Their labels are not known yet."""
    numbers, offsets, lengths = [], [], []
    for number in range(len(shards.names)):
        for start, edges in _arrow_edges(shards.path(number), column):
            numbers.append(np.full(len(edges) - 1, number, np.int32))
            offsets.append(start + edges[:-1])
            lengths.append(np.diff(edges))
    shard = np.concatenate([np.empty(0, np.int32), *numbers])
    offset, length = (np.concatenate([np.empty(0, np.int64), *parts]) for parts in (offsets, lengths))
    return ShardImages(shards, shard, offset, length, np.empty(0, np.int64))


def _arrow_edges(path: Path, column: str) -> list[tuple[int, Integers]]:
    """For each batch of a file, where its images' data begins, and their edges in it."""
    with readable(path), pa.memory_map(os.fspath(path)) as mapped:
        whole = mapped.read_buffer()
        table = pa.ipc.open_stream(whole).read_all()
    require_columns(path, table.column_names, [column])
    found, rows = [], 0
    for chunk in table[column].chunks:
        array = encoded(path, chunk, rows)
        rows += len(array)
        if len(array):
            start = array.buffers()[2].address - whole.address
            if not 0 <= start <= whole.size:
                raise wrong(path, "compressed, so that images cannot be read one by one; save it without compression")
            found.append((start, bounds(array)))
    return found


def unpack(images: ParquetImages) -> None:
    """Unpack what is not yet, in one process while others wait. Raises `UserError` if it cannot be kept."""
    numbers = range(len(images.rows))
    if all(images.ends(number).is_file() for number in numbers):
        return
    try:
        images.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(images.folder.with_suffix(".lock")):
            missing = [number for number in numbers if not images.ends(number).is_file()]
            _require_space(images, missing)
            for number in missing:
                _unpack(images, number)
    except OSError as error:
        told = f"images cannot be unpacked into {images.folder}: {error.strerror or error}"
        raise UserError(f"data=hub: {told}; $ATTNBENCH_CACHE names another folder") from error


def _require_space(images: ParquetImages, numbers: Sequence[int]) -> None:
    """Raise `UserError` if the unpacked images would not fit, and say what is to come if they do."""
    needed, free = sum(images.shards.sizes[number] for number in numbers), shutil.disk_usage(images.folder).free
    size = f"about {needed / GIB:,.1f} GiB"
    if needed > free:
        told = f"unpacked images take {size} and {images.folder} has {free / GIB:,.1f} GiB left"
        raise UserError(f"data=hub: {told}; $ATTNBENCH_CACHE names another folder")
    if numbers:
        told = f"unpacking {len(numbers):,} parquet files ({size}) into {images.folder}, once"
        print(f"attnbench: {told}", file=sys.stderr, flush=True)


def _unpack(images: ParquetImages, number: int) -> None:
    """Unpack one file, whole or not at all."""
    source, content, ends = images.shards.path(number), images.content(number), images.ends(number)
    parts, rows, last = (content.with_suffix(".part"), ends.with_suffix(".part.npy")), 0, [np.empty(0, np.int64)]
    try:
        with parts[0].open("wb") as stream:
            for batch in _batches(source, images.column):
                array = encoded(source, batch, rows)
                edges = bounds(array)
                last.append(edges[1:] - edges[0] + stream.tell())
                stream.write(memoryview(array.buffers()[2])[edges[0] : edges[-1]])
                rows += len(array)
        np.save(parts[1], np.concatenate(last))
        for part, path in zip(parts, (content, ends), strict=True):
            part.replace(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _batches(path: Path, column: str) -> Iterator[Any]:
    with readable(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=[column], use_threads=False):
            if len(batch):
                yield batch.column(0)
