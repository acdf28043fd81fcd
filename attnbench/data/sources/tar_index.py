"""Where the samples of webdataset's tar files lie: one pass over each file, remembered.

A sample is the files whose paths agree up to the first dot of their names, which is its key; the rest tells what each
holds (https://github.com/webdataset/webdataset, "The WebDataset Format"). Its files need not follow one another.
"""

import hashlib
import json
import logging
import os
import re
import tarfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.sources.image_files import Names
from attnbench.data.sources.shard_files import Shards
from attnbench.errors import UserError

log = logging.getLogger("attnbench.data")
IMAGES = ("jpg", "jpeg", "png", "webp")
LABELS = ("cls", "json")
AUTO, FIELD = "auto", "label"
"""Labels by default: the number in `.cls`, or else this field of `.json`."""
NAME = re.compile(r"(?P<key>(?:.*/|)[^.]+)[.](?P<kind>[^/]*)")
MOST_DIGITS = 18
"""Of a class number; more do not fit into 64 bits."""
INDEX_VERSION = 1
"""Part of the name of what is cached: raise it when the same shards give another index."""

Place = tuple[int, int]
"""Where a file's bytes begin in a tar file, and how many they are."""


class Index(NamedTuple):
    """Samples of a split, in the order of the shards. shard: (N,). offsets, lengths: (N,) of the images' bytes.
    values: (N,) labels as written, numbers or names. keys: (N,).
    """

    shard: NDArray[np.int32]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    values: NDArray[Any]
    keys: Names


def read_index(shards: Shards, label: str, split: str) -> Index:
    """The index of a split, from the cache or made. Raises `UserError` for a shard that is damaged or not complete."""
    path = cache_folder() / f"shards-{split}-{_state(shards, label)}.index.npz"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            index = _load(path)
            if index is None:
                index = make_index(shards, label, split)
                _store(path, index)
    except OSError as error:
        warnings.warn(f"cannot keep in {path.parent} where images lie: {error}", stacklevel=2)
        index = make_index(shards, label, split)
    return index


def make_index(shards: Shards, label: str, split: str) -> Index:
    """Read through all shards of a split."""
    log.info("indexing %s shards of %s, once", f"{len(shards.names):,}", split)
    tables = [scan(shards.path(number), number, label) for number in range(len(shards.names))]
    kinds = [table.values.dtype.kind for table in tables if len(table.keys)]
    if not kinds:
        raise _wrong(shards.path(0), f"no samples: {' '.join(IMAGES)} with .cls or .json")
    tables = [table for table in tables if len(table.keys)]
    for table, kind in zip(tables, kinds, strict=True):
        if kind != kinds[0]:
            told = f"its labels are {'names' if kind == 'S' else 'numbers'}, unlike those of {shards.names[0]}"
            raise _wrong(shards.path(int(table.shard[0])), told)
    return Index(*map(np.concatenate, zip(*tables, strict=True)))


def scan(path: Path, number: int, label: str) -> Index:
    """The samples of one tar file, which is shard `number`, in its order."""
    found: dict[str, dict[str, Place]] = {}
    try:
        with path.open("rb") as stream:
            for key, kind, place in members(stream):
                kinds = found.setdefault(key, {})
                if kind in kinds:
                    raise _wrong(path, f"{key}.{kind} is there twice")
                kinds[kind] = place
            images = [_image(path, key, kinds) for key, kinds in found.items()]
            values = [_value(path, stream, key, kinds, label) for key, kinds in found.items()]
    except tarfile.TarError as error:
        raise _wrong(path, f"not a whole tar file: {error}") from error
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror or error}") from error
    mixed = next((key for key, value in zip(found, values, strict=True) if type(value) is not type(values[0])), None)
    if mixed is not None:
        raise _wrong(path, f"{mixed}: names and numbers among the labels, as of {next(iter(found))}")
    places = np.array(images, np.int64).reshape(-1, 2)
    keys = np.array([os.fsencode(key) for key in found], np.bytes_)
    return Index(np.full(len(keys), number, np.int32), places[:, 0], places[:, 1], np.array(values), keys)


def members(stream: BinaryIO) -> Iterator[tuple[str, str, Place]]:
    """Key, kind and place of each file of samples in a tar file. Raises `TarError` if it is damaged or cut short."""
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # else all stay in memory
            name = NAME.fullmatch(member.name)
            kind = name["kind"].lower() if name else ""
            if name and member.isfile() and kind in IMAGES + LABELS:
                yield name["key"], kind, (member.offset_data, member.size)
        stream.seek(archive.offset)  # tarfile takes whatever it cannot read for the end
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it is damaged or cut short at byte {archive.offset:,}")


def _image(path: Path, key: str, kinds: Mapping[str, Place]) -> Place:
    images = [kind for kind in kinds if kind in IMAGES]
    if len(images) != 1:
        told = f"has two images, .{' and .'.join(images)}" if images else f"has no image ({' '.join(IMAGES)})"
        raise _wrong(path, f"{key} {told}")
    return kinds[images[0]]


def _value(path: Path, stream: BinaryIO, key: str, kinds: Mapping[str, Place], label: str) -> int | bytes:
    wanted = "cls" if label == AUTO and "cls" in kinds else "json"
    if wanted not in kinds:
        raise _wrong(path, f"{key} has no label: no {'.cls or .json' if label == AUTO else '.json'}")
    offset, length = kinds[wanted]
    stream.seek(offset)
    content = stream.read(length)
    try:
        return class_number(content) if wanted == "cls" else field_of(content, FIELD if label == AUTO else label)
    except ValueError as error:
        raise _wrong(path, f"{key}.{wanted}: {error}") from error


def class_number(content: bytes) -> int:
    """A label in `.cls`. Raises `ValueError`."""
    digits = content.strip()
    if not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise ValueError(f"{content.decode(errors='replace')[:40]!r} is no class number")
    return int(digits)


def field_of(content: bytes, field: str) -> int | bytes:
    """A label in JSON, names in UTF-8. Raises `ValueError`."""
    fields = json.loads(content)
    if not isinstance(fields, dict) or field not in fields:
        there = f" (it has {', '.join(fields)})" if isinstance(fields, dict) and fields else ""
        raise ValueError(f"no field {field}{there}; data.label names the one that holds the class")
    value = fields[field]
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MOST_DIGITS
    if not number and not (isinstance(value, str) and value):
        raise ValueError(f"{field} is {json.dumps(value)[:40]}, neither a class number nor a name")
    return value if number else value.encode()


def _wrong(path: Path, told: str) -> UserError:
    return UserError(f"data=shards: {path}: {told}")


def _state(shards: Shards, label: str) -> str:
    """Tells apart states of the shards, wherever they lie."""
    times = [shards.path(number).stat().st_mtime_ns for number in range(len(shards.names))]
    what = repr((INDEX_VERSION, shards.names, shards.sizes, times, label))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _load(path: Path) -> Index | None:
    """The cached index, or None if there is none or it is damaged."""
    try:
        with np.load(path) as stored:
            return Index(*(stored[name] for name in Index._fields))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        warnings.warn(f"{path} is damaged ({error}); indexing anew", stacklevel=2)
        return None


def _store(path: Path, index: Index) -> None:
    """Keep an index, whole or not at all."""
    part = path.with_suffix(".part.npz")
    try:
        np.savez(part, **index._asdict())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
