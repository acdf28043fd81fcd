"""Files are whole or absent; jobs travel; runs set aside are kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.config.validate import RunConfig
from attnbench.runs import files
from attnbench.runs.folder import Job, RunFolder, as_typed, find_runs, shown
from attnbench.runs.lock import Lock
from attnbench.training.plan import plan

pytestmark = pytest.mark.smoke


def test_writing_replaces_at_once(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_folder / "record.json"
    files.write_json(path, {"a": 1})

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("attnbench.runs.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1}


def test_what_is_not_whole_is_not_read(own_folder: Path) -> None:
    path = own_folder / "x.json"
    assert files.read_json(path) is None
    path.write_text('{"a": ')
    assert files.read_json(path) is None
    path.write_text("[1]")
    assert files.read_json(path) is None


def test_rows_end_at_a_torn_line(own_folder: Path) -> None:
    path = own_folder / "metrics.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert [row["epoch"] for row in files.read_lines(path)] == [1, 2]


def test_a_job_travels_as_a_file(tiny: Callable[..., RunConfig], own_folder: Path) -> None:
    job = plan(tiny("attention=bam", "attention.reduction=2", "seed=4"))
    job.save(own_folder / "job.json")
    assert Job.load(own_folder / "job.json") == job
    assert job.folder == own_folder / "outputs" / "runs" / f"digits-resnet20-bam-{job.identity}" / "seed4"


def test_a_job_file_that_is_not_there(own_folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Job.load(own_folder / "job.json")


def test_setting_aside_loses_nothing(own_folder: Path) -> None:
    run = RunFolder(own_folder / "runs" / "a-b-c" / "seed0")
    for number in (1, 2):
        (run.path / "checkpoints").mkdir(parents=True)
        run.write_record({"status": "finished", "number": number})
        with Lock(run.path):
            aside = run.set_aside()
        assert aside.name == f"seed0-{number}"
        assert json.loads((aside / "record.json").read_text())["number"] == number
        assert run.record() is None
    assert [found.path for found in find_runs(own_folder)] == [run.path]


def test_the_state_of_a_run(own_folder: Path) -> None:
    run = RunFolder(own_folder / "seed0")
    assert run.state() == "new"
    run.path.mkdir()
    run.write_record({"status": "running"})
    assert run.state() == "interrupted"  # its process died
    with Lock(run.path):
        assert run.state() == "running"
    for status in ("finished", "failed", "interrupted"):
        run.write_record({"status": status})
        assert run.state() == status


def test_paths_are_shown_as_they_would_be_typed(own_folder: Path) -> None:
    assert shown(own_folder / "outputs") == "outputs"
    assert shown(Path("/elsewhere/outputs")) == "/elsewhere/outputs"
    assert as_typed(own_folder / "my outputs") == "'my outputs'"
    assert as_typed(own_folder / "outputs") == "outputs"
