"""What killed processes left half written is removed at the next start, and nothing else."""

import os
from pathlib import Path

import pytest

from attnbench.runs.lock import Lock, RunLockedError


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
