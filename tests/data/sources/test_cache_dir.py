"""The cache folder: what killed processes left of any file is removed by the next that writes there."""

from pathlib import Path

from filelock import FileLock

from attnbench.data.sources.cache_dir import cache_lock


def test_abandoned_parts_of_other_files_are_removed(own_folder: Path) -> None:
    kept = ["whole.images", "apart.npz", "busy.part"]
    abandoned = ["gone.part", "shards-train-1.index.part.npz", "mine.part"]
    for name in (*kept, *abandoned):
        (own_folder / name).write_text("part")
    with FileLock(own_folder / "busy.lock"), cache_lock(own_folder / "mine.images"):
        found = {path.name for path in own_folder.iterdir() if path.suffix != ".lock"}
    assert found == set(kept)
