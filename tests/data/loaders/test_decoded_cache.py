"""Caches of decoded images: nothing is decoded twice, and damaged or outdated caches are written again."""

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnbench.data.loaders import cache_space, decoded_cache
from attnbench.data.loaders.decoded_cache import FileStore, MemoryStore
from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.transforms.decode import Stored, StoredFormat, decode
from attnbench.errors import UserError
from tests.data.loaders.conftest import same
from tests.data.pictures import picture


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note the files that are decoded in this process."""
    files: list[bytes] = []

    def noting(content: bytes, form: StoredFormat, crop: tuple[int, ...] | None = None) -> Stored:
        files.append(content)
        return decode(content, form, crop)

    monkeypatch.setattr("attnbench.data.loaders.workers.decode", noting)
    return files


@pytest.mark.parametrize(("cache", "decoded"), [("none", [75, 75, 75]), ("ram", [75, 0, 0]), ("disk", [0, 0, 0])])
def test_caches_decode_nothing_again(
    cache: str, decoded: list[int], loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = count_decodes(monkeypatch)
    made = loader(f"data.cache={cache}", "data.batch_size=25")
    before = len(files)
    assert before == (75 if cache == "disk" else 0)
    for number, expected in enumerate(decoded):
        start = len(files)
        list(made.epoch(number))
        assert len(files) - start == expected
    assert made.workers.images == len(files)
    assert isinstance(made.store, {"none": type(None), "ram": MemoryStore, "disk": FileStore}[cache])


def test_the_disk_cache_is_found_again_and_goes_with_what_it_was_made_of(
    loader: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decodes(*overrides: str) -> int:
        start = len(files)
        list(loader("data.cache=disk", *overrides).epoch(0))
        return len(files) - start

    files = count_decodes(monkeypatch)
    assert decodes() == 75
    assert decodes() == decodes("data.image_size=20", "data.train_crop=random") == 0
    assert decodes("data.validation=9") == 0  # what is held out is taken from the same file
    assert decodes("data.resize=40") == decodes("data.stretch=true") == 75
    picture(40, 40, 99).save(root / "train" / "ant" / "new.jpg")
    assert decodes() == 76


def test_the_disk_cache_ends_when_an_image_changes_and_not_its_size(loader: Any, root: Path) -> None:
    path = root / "train" / "ant" / "flat.bmp"
    for shade in (0, 255):
        Image.new("RGB", (40, 40), (shade,) * 3).save(path)
        made = loader("data.cache=disk", seed=None)
        place = made.files.paths.tolist().index(b"train/ant/flat.bmp")
        (answer,) = made.decoded([np.array([place])])
        assert (answer.pixels == shade).all()


def test_a_whole_cache_is_used_where_nothing_can_be_written(loader: Any, own_folder: Path) -> None:
    plain = list(loader("data.cache=disk").epoch())
    (lock,) = (own_folder / "cache").glob("*.lock")
    lock.unlink()
    lock.mkdir()  # what the superuser, too, cannot write to
    assert same(list(loader("data.cache=disk").epoch()), plain)


def cached(folder: Path) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in (folder / "cache").iterdir())


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_cache_is_written_again(damage: str, loader: Any, own_folder: Path) -> None:
    plain = list(loader("data.cache=disk").epoch())
    (path,) = (own_folder / "cache").glob("*.images")
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-1000], "empty": b"", "other": content[:-48] + bytes(48)}[damage])
    with pytest.warns(UserWarning, match="writing it again"):
        again = loader("data.cache=disk")
    assert same(list(again.epoch()), plain)
    assert path.read_bytes() == content


KILLED = """
import os, sys
from attnbench.data.loaders import workers as reader
from attnbench.data.loaders.make import LoaderFactory
from tests.data.pictures import CPU, folder_set
decode, seen = reader.decode, []
def dying(content, *how):
    seen.append(content)
    if len(seen) > 40:
        {deed}
    return decode(content, *how)
reader.decode = dying
LoaderFactory(folder_set(sys.argv[1], "data.cache=disk"), CPU).make("train", 0)
"""


@pytest.mark.parametrize(
    ("deed", "left"), [("os.kill(os.getpid(), 9)", ["lock", "part"]), ("raise KeyboardInterrupt", ["lock"])]
)
def test_a_killed_process_leaves_no_cache(deed: str, left: list[str], root: Path, loader: Any) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    command = [sys.executable, "-c", KILLED.format(deed=deed), str(root)]
    assert subprocess.run(command, check=False, capture_output=True, env=environment).returncode != 0
    assert cached(root.parent) == left
    assert len(list(loader("data.cache=disk").epoch())) == len(list(loader().epoch()))
    assert cached(root.parent) == ["images", "lock"]


def test_a_cache_that_does_not_fit_into_memory_is_rejected(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cache_space, "free_memory", lambda: 10_000)
        with pytest.raises(UserError, match=r"data\.cache=ram: 75 images take about .* GiB .*data\.cache=disk"):
            loader("data.cache=ram")


def too_small(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    usage = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)


def test_a_cache_that_another_process_has_just_written_needs_no_room(
    loader: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader("data.cache=disk")
    (written,) = cache_folder().glob("*.images")
    away = written.rename(written.with_suffix(".away"))

    @contextmanager
    def wait_for_the_other(path: Path) -> Iterator[None]:
        away.rename(path)
        yield

    monkeypatch.setattr(decoded_cache, "cache_lock", wait_for_the_other)
    too_small(monkeypatch, root)
    assert isinstance(loader("data.cache=disk").store, FileStore)


def a_file(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    monkeypatch.setenv("ATTNBENCH_CACHE", str(folder / "file" / "cache"))


def full(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(too_small, "75 images take about 0.0 GiB"), (a_file, "Not a directory"), (full, "No space left on device")],
)
def test_without_room_for_its_cache_a_loader_gives_the_same_images(
    fault: Callable[[pytest.MonkeyPatch, Path], None],
    reason: str,
    loader: Any,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = list(loader().epoch())
    fault(monkeypatch, own_folder)
    with caplog.at_level(logging.WARNING, "attnbench"):
        made = loader("data.cache=disk")
    (record,) = caplog.records
    assert record.getMessage().startswith("data.cache=disk: cannot be written in ")
    assert reason in record.getMessage()
    assert record.getMessage().endswith(
        "images are decoded in every epoch instead; $ATTNBENCH_CACHE names another folder"
    )
    assert same(list(made.epoch()), plain)
    assert not list(own_folder.rglob("*.part"))
