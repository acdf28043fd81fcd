"""Reading parts of shards: in any process, with few files open."""

import multiprocessing
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from attnbench.data.sources import shard_files as packed
from attnbench.data.sources.shard_files import OpenFiles, ShardImages, Shards

SIZE, COUNT = 4096, 200


@pytest.fixture
def images(own_folder: Path) -> ShardImages:
    """Five shards, whose parts say where they are."""
    paths = [own_folder / f"{number}.tar" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(b"".join(content(number, part) for part in range(COUNT)))
    shard = np.repeat(np.arange(5, dtype=np.int32), COUNT)
    offsets = np.tile(np.arange(COUNT) * SIZE, 5)
    labels = np.zeros(5 * COUNT, np.int64)
    return ShardImages(Shards.of(own_folder, paths), shard, offsets, np.full(5 * COUNT, SIZE), labels)


def content(shard: int, part: int) -> bytes:
    return f"{shard} {part}".encode().ljust(SIZE, b".")


def read_all(images: ShardImages, seed: int) -> bool:
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    return all(images.read(index) == content(index // COUNT, index % COUNT) for index in order * 3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_processes_do_not_disturb_each_other(images: ShardImages) -> None:
    """Forked ones share the positions of the files that are open; they must not use those."""
    assert read_all(images, 0)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.starmap(read_all, [(images, seed) for seed in range(6)], chunksize=2) == [True] * 6
        pool.close()
        pool.join()  # they end by themselves; leaving the context sends them SIGTERM
    assert read_all(pickle.loads(pickle.dumps(images)), 1)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_few_files_stay_open(images: ShardImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_OPEN_FILES", 2)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert read_all(images, 0)
    assert len(os.listdir("/proc/self/fd")) == before + 2  # noqa: PTH208


def test_files_that_end_too_early_or_are_deleted(own_folder: Path) -> None:
    (own_folder / "a").write_bytes(b"abc")
    files = OpenFiles()
    assert files.read(own_folder / "a", 1, 2) == b"bc"
    with pytest.raises(OSError, match="a ends before byte 4: it has changed"):
        files.read(own_folder / "a", 1, 3)
    with pytest.raises(FileNotFoundError):
        files.read(own_folder / "b", 0, 1)


def test_rows_are_counted_within_their_shard(images: ShardImages, own_folder: Path) -> None:
    assert images.name(0) == f"{own_folder / '0.tar'}: row 0"
    assert images.name(2 * COUNT + 7) == f"{own_folder / '2.tar'}: row 7"
