"""The cache folder: what killed processes left of any file is removed by the next that writes there."""

from pathlib import Path

import pytest
from filelock import FileLock

from attnbench.data.sources import cache_dir
from attnbench.data.sources.cache_dir import cache_lock


def test_abandoned_parts_of_other_files_are_removed(own_folder: Path) -> None:
    kept = ["whole.images", "apart.npz", "busy.part"]
    abandoned = ["gone.part", "shards-train-1.index.part.npz", "mine.part"]
    for name in (*kept, *abandoned):
        (own_folder / name).write_text("part")
    with FileLock(own_folder / "busy.lock"), cache_lock(own_folder / "mine.images"):
        found = {path.name for path in own_folder.iterdir() if path.suffix != ".lock"}
    assert found == set(kept)


def test_files_that_cannot_be_locked_are_an_error_of_the_system(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Lustre file system without flock, with the older releases of filelock."""

    class NoLock(FileLock):
        def acquire(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(cache_dir, "FileLock", NoLock)
    (own_folder / "gone.part").write_text("part")
    with pytest.raises(OSError, match="does not appear to support flock"), cache_lock(own_folder / "mine.images"):
        pass
