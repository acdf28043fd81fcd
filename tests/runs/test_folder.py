"""Files are whole or absent; jobs travel as files; archived runs are kept."""

import json
from pathlib import Path

import pytest

from attnbench.runs import files
from attnbench.runs.folder import RunFolder, as_typed, find_runs, shown
from attnbench.runs.lock import Lock
from tests.runs.samples import make_record

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


def test_archiving_loses_nothing(own_folder: Path) -> None:
    run = RunFolder(own_folder / "runs" / "a-b-c" / "seed0")
    for number in (1, 2):
        (run.path / "checkpoints").mkdir(parents=True)
        run.write_record(make_record(seed=number))
        with Lock(run.path):
            archive = run.archive()
        assert archive.name == f"seed0-{number}"
        assert json.loads((archive / "record.json").read_text())["seed"] == number
        assert run.record() is None
    assert [found.path for found in find_runs(own_folder)] == [run.path]


def test_the_state_of_a_run(own_folder: Path) -> None:
    run = RunFolder(own_folder / "seed0")
    assert run.state() == "new"
    run.path.mkdir()
    run.write_record(make_record("running"))
    assert run.state() == "interrupted"  # its process died
    with Lock(run.path):
        assert run.state() == "running"
    for status in ("finished", "failed", "interrupted"):
        run.write_record(make_record(status))
        assert run.state() == status
    run.record_file.write_text("{")
    assert run.state() == "damaged"


def test_paths_are_shown_as_they_would_be_typed(own_folder: Path) -> None:
    assert shown(own_folder / "outputs") == "outputs"
    assert shown(Path("/elsewhere/outputs")) == "/elsewhere/outputs"
    assert as_typed(own_folder / "my outputs") == "'my outputs'"
    assert as_typed(own_folder / "outputs") == "outputs"
