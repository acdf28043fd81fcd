"""An index of the samples in webdataset's tar files, made in one pass over each file and cached.

See `tar_samples` for what a sample is.
"""

import hashlib
import json
import logging
import os
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sources.cache_dir import cache_folder, cache_lock
from attnbench.data.sources.folders import Names, open_regular
from attnbench.data.sources.shard_files import Shards
from attnbench.data.sources.tar_samples import AUTO, IMAGES, Place, Sample, SampleError, samples_of
from attnbench.errors import UserError

log = logging.getLogger("attnbench.data")
FIELD = "label"
"""Field of `.json` that holds the label by default."""
MAX_DIGITS = 18
"""Longest class number that certainly fits into 64 bits."""
MOST_LABEL_BYTES = 2**24
"""Size of the largest label file that is read."""
INDEX_VERSION = 2
"""Part of the cached file's name; increase it when the same shards give another index."""


class Index(NamedTuple):
    """Samples of a split, in the order of the shards.

    Attributes:
        shard: (N,) index of each sample's shard.
        offsets: (N,) position of the image's first byte.
        lengths: (N,) number of its bytes.
        values: (N,) labels as written, numbers or names.
        keys: (N,) keys of the samples.
        left_out: (R, 3) what is not used: reason, count, and a name.
    """

    shard: NDArray[np.int32]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    values: NDArray[Any]
    keys: Names
    left_out: NDArray[np.str_]


def read_index(shards: Shards, label: str, split: str) -> Index:
    """Load the index of a split from the cache, or make it. Raises `UserError` for a damaged shard."""
    path = cache_folder() / f"shards-{split}-{_state(shards, label)}.index.npz"
    try:
        if (kept := _load(path)) is not None:  # the folder may be read-only
            return kept
        with cache_lock(path):
            index = _load(path)
            if index is None:
                index = make_index(shards, label, split)
                _store(path, index)
    except OSError as error:
        warnings.warn(f"cannot cache the index of the shards in {path.parent}: {error}", stacklevel=2)
        index = make_index(shards, label, split)
    return index


def make_index(shards: Shards, label: str, split: str) -> Index:
    """Index all shards of a split. Raises `UserError` for damaged or incomplete ones."""
    log.info("indexing %s shards of %s, once", f"{len(shards.names):,}", split)
    tables = [scan(shards.path(number), number, label) for number in range(len(shards.names))]
    kinds = [table.values.dtype.kind for table in tables if len(table.keys)]
    if not kinds:
        raise _file_error(shards.path(0), f"no samples: {' '.join(IMAGES)} with .cls or .json")
    left_out = np.concatenate([table.left_out for table in tables])
    tables = [table for table in tables if len(table.keys)]
    for table, kind in zip(tables, kinds, strict=True):
        if kind != kinds[0]:
            problem = f"its labels are {'names' if kind == 'S' else 'numbers'}, unlike those of {shards.names[0]}"
            raise _file_error(shards.path(int(table.shard[0])), problem)
    return Index(*map(np.concatenate, zip(*tables, strict=True)))._replace(left_out=left_out)


def scan(path: Path, number: int, label: str) -> Index:
    """Index one tar file, which is shard `number`. Raises `UserError` if it is damaged or incomplete."""
    try:
        with open_regular(path) as stream:
            samples, left_out = samples_of(members(stream), label)
            values = [_value(path, stream, sample, label) for sample in samples]
    except SampleError as error:
        raise _file_error(path, str(error)) from error
    except tarfile.TarError as error:
        raise _file_error(path, f"not a complete tar file: {error}") from error
    except OSError as error:
        raise _file_error(path, f"cannot be read: {error.strerror or error}") from error
    mixed = next((place for place, value in enumerate(values) if type(value) is not type(values[0])), None)
    if mixed is not None:
        pair = f"{samples[0].key} and {samples[mixed].key}"
        raise _file_error(path, f"labels are partly names and partly numbers, such as those of {pair}")
    places = np.array([sample.image for sample in samples], np.int64).reshape(-1, 2)
    keys = np.array([os.fsencode(sample.key) for sample in samples], np.bytes_)
    shard = np.full(len(keys), number, np.int32)
    return Index(shard, places[:, 0], places[:, 1], np.array(values), keys, left_out.rows(f"{path.name}: "))


def members(stream: BinaryIO) -> Iterator[tuple[str, Place]]:
    """Yield name and place of each regular file in a tar file. Raises `TarError` if it is damaged or cut short."""
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # which would otherwise all stay in memory
            if member.isfile() and not member.issparse():
                yield member.name, (member.offset_data, member.size)
        stream.seek(archive.offset)  # tarfile takes anything unreadable for the end
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it is damaged or cut short at byte {archive.offset:,}")


def _value(path: Path, stream: BinaryIO, sample: Sample, label: str) -> int | bytes:
    offset, length = sample.label
    if length > MOST_LABEL_BYTES:
        raise _file_error(path, f"{sample.key}.{sample.kind}: {length:,} bytes are too many for a label")
    stream.seek(offset)
    content = stream.read(length)
    try:
        return class_number(content) if sample.kind == "cls" else field_of(content, FIELD if label == AUTO else label)
    except ValueError as error:
        raise _file_error(path, f"{sample.key}.{sample.kind}: {error}") from error


def class_number(content: bytes) -> int:
    """Parse the label in a `.cls` file. Raises `ValueError`."""
    digits = content.strip()
    if not digits.isdigit() or len(digits) > MAX_DIGITS:
        raise ValueError(f"{content.decode(errors='replace')[:40]!r} is not a class number")
    return int(digits)


def field_of(content: bytes, field: str) -> int | bytes:
    """Read the label in a `.json` file, a number or a name in UTF-8. Raises `ValueError`."""
    try:
        fields = json.loads(content)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(fields, dict) or field not in fields:
        present = f" (it has {', '.join(fields)})" if isinstance(fields, dict) and fields else ""
        raise ValueError(f"no field {field}{present}; data.label names the one that holds the class")
    value = fields[field]
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_DIGITS
    if not number and not (isinstance(value, str) and value):
        raise ValueError(f"{field} is {json.dumps(value)[:40]}, neither a class number nor a name")
    return value if number else value.encode()


def _file_error(path: Path, problem: str) -> UserError:
    return UserError(f"data=shards: {path}: {problem}")


def _state(shards: Shards, label: str) -> str:
    """Return a hash of the shards' names, sizes and modification times, independent of their folder."""
    times = [shards.path(number).stat().st_mtime_ns for number in range(len(shards.names))]
    what = repr((INDEX_VERSION, shards.names, shards.sizes, times, label))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _load(path: Path) -> Index | None:
    """Load a cached index. Return None if it is missing or damaged."""
    try:
        with np.load(path) as stored:
            return Index(*(stored[name] for name in Index._fields))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        warnings.warn(f"{path} is damaged ({error}); indexing again", stacklevel=2)
        return None


def _store(path: Path, index: Index) -> None:
    """Write an index atomically."""
    part = path.with_suffix(".part.npz")
    try:
        np.savez(part, **index._asdict())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
