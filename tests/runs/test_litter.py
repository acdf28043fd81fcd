"""What killed processes left half written is removed at the next start, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.runs.files import write_atomically
from attnbench.runs.lock import Lock, RunLockedError
from tests.faults.children import Place


def test_what_killed_processes_left_half_written_is_removed(own_folder: Path) -> None:
    (own_folder / "checkpoints").mkdir()
    kept = ["record.json", ".hidden", ".config.yaml.bak", "checkpoints/last.ckpt"]
    litter = [".record.json.4711", ".metrics.jsonl.12", ".lock.json.3", "checkpoints/.last.ckpt.part"]
    for name in (*kept, *litter, ".job.json.7"):
        (own_folder / name).write_text("part")
    with Lock(own_folder):
        found = {str(path.relative_to(own_folder)) for path in own_folder.rglob("*") if path.is_file()}
    assert found == {*kept, ".job.json.7", "lock.json", ".lock"}  # a scheduler may be writing the job just now
    os.utime(own_folder / ".job.json.7", (0, 0))
    with Lock(own_folder):
        assert not (own_folder / ".job.json.7").exists()


def test_a_living_owners_files_are_left_alone(own_folder: Path) -> None:
    with Lock(own_folder):
        (own_folder / ".record.json.4711").write_text("being written")
        with pytest.raises(RunLockedError), Lock(own_folder):
            pass
        assert (own_folder / ".record.json.4711").exists()


def test_what_is_left_of_a_table_is_removed_when_it_is_written_again(own_folder: Path) -> None:
    place = Place(own_folder)
    environment = {**os.environ, **place.environment("kill 3")}
    write = "import pathlib, attnbench.runs.files as files; files.write_atomically(pathlib.Path('a[1].csv'), 'text')"
    assert subprocess.run([sys.executable, "-c", write], cwd=place.work, env=environment, check=False).returncode < 0
    (part,) = place.work.glob(".a*")
    assert part.read_text() == "te"
    others = [place.work / name for name in (".a[1].csv.bak", ".b.csv.7")]
    for other in others:
        other.write_text("kept")
        os.utime(other, (0, 0))
    write_atomically(place.work / "a[1].csv", "text")
    assert part.exists()  # another process may be writing it just now
    os.utime(part, (0, 0))
    write_atomically(place.work / "a[1].csv", "text")
    assert sorted(path for path in place.work.iterdir() if path.is_file()) == [*others, place.work / "a[1].csv"]
