"""Cleaning: what can be removed is found, and nothing else goes."""

import os
import time
from pathlib import Path

import pytest

from attnbench.cli.clean import parse_age
from attnbench.cli.main import main
from attnbench.errors import UserError
from attnbench.runs.cleaning import KINDS, find_removable, remove
from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock, RunLockedError
from tests.runs.samples import make_record

Capture = pytest.CaptureFixture[str]


def make_run(name: str, status: str) -> RunFolder:
    """Make a run with all of its files."""
    run = RunFolder(Path("outputs/runs") / name / "seed0")
    for path in (run.log_file, run.last_checkpoint, run.best_checkpoint, run.metrics_file, run.last_predictions):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * 1000)
    run.write_record(make_record(status))
    return run


@pytest.fixture
def runs(own_folder: Path) -> dict[str, RunFolder]:
    made = {status: make_run(f"{status}-0", status) for status in ("finished", "interrupted", "failed")}
    again = make_run("again-0", "finished")
    again.archive()
    return made


def found(*kinds: str, before: float = float("inf")) -> list[str]:
    items = find_removable(Path("outputs"), kinds or tuple(KINDS), before)
    return [str(item.path.relative_to("outputs/runs")) for item in items]


@pytest.mark.usefixtures("runs")
def test_only_finished_and_archived_runs_are_cleaned() -> None:
    assert found() == ["finished-0/seed0/log.txt", "finished-0/seed0/checkpoints", "again-0/aside/seed0-1"]
    assert found("logs") == ["finished-0/seed0/log.txt"]
    assert [item.size for item in find_removable(Path("outputs"), ["checkpoints"], float("inf"))] == [2000]


def test_what_is_younger_stays(runs: dict[str, RunFolder]) -> None:
    old = time.time() - 40 * 86400
    os.utime(runs["finished"].log_file, (old, old))
    assert found(before=time.time() - 30 * 86400) == ["finished-0/seed0/log.txt"]


def test_a_run_that_is_being_trained_is_left_alone(runs: dict[str, RunFolder]) -> None:
    items = list(find_removable(Path("outputs"), ["logs"], float("inf")))
    with Lock(runs["finished"].path):
        assert found("logs", "checkpoints") == []
        with pytest.raises(RunLockedError):
            remove(items[0])
    runs["finished"].write_record(make_record("interrupted"))
    with pytest.raises(UserError, match="trained again"):
        remove(items[0])
    assert runs["finished"].log_file.exists()


def test_links_are_left_alone(runs: dict[str, RunFolder]) -> None:
    folder = runs["finished"].last_checkpoint.parent
    folder.rename("elsewhere")
    folder.symlink_to(Path("elsewhere").absolute())
    assert "finished-0/seed0/checkpoints" not in found()


def test_the_command_lists_and_removes(runs: dict[str, RunFolder], capsys: Capture) -> None:
    before = sorted(map(str, Path("outputs").rglob("*")))
    assert main(["clean"]) == 0
    listed = capsys.readouterr().out
    assert "finished-0/seed0/checkpoints" in listed and "Nothing was removed; --yes removes it." in listed
    assert sorted(map(str, Path("outputs").rglob("*"))) == before
    assert main(["clean", "checkpoints", "archived", "--yes"]) == 0
    assert "freed" in capsys.readouterr().out
    kept = runs["finished"]
    assert kept.finished() and kept.log_file.exists() and kept.last_predictions.exists()
    assert not kept.last_checkpoint.parent.exists()
    assert not list(Path("outputs").glob("runs/*/aside/*"))
    assert runs["interrupted"].last_checkpoint.exists() and runs["failed"].last_checkpoint.exists()
    assert main(["clean", "checkpoints"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["checkpoint"], "did you mean checkpoints?"),
        (["--older-than", "soon"], "--older-than soon: must be days, hours or minutes"),
        (["data=cifar10"], "takes no overrides"),
        (["--force"], "--force: no such flag"),
    ],
)
def test_a_wrong_word_is_one_line(words: list[str], reason: str, capsys: Capture) -> None:
    assert main(["clean", *words]) == 2
    err = capsys.readouterr().err
    assert reason in err and err.count("\n") == 1


def test_ages() -> None:
    assert [parse_age(text) for text in ("30d", "1.5h", "90m")] == [30 * 86400, 5400, 5400]
