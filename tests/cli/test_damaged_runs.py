"""A damaged run among good ones: lists and sweeps continue without it; the run itself gives one clear line."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.runs.folder import RunFolder, find_runs
from tests.conftest import TINY
from tests.runs.samples import make_finished

Damage = Callable[[Path], object]


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "empty": lambda path: path.write_text(""),
    "cut off": lambda path: path.write_text(path.read_text()[:300]),
    "no text": lambda path: path.write_bytes(b"\xff"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "another type": lambda path: path.write_text(path.read_text().replace('"seed": 1', '"seed": "one"')),
    "a folder": replace_by_folder,
}


@pytest.fixture
def damaged() -> RunFolder:
    """The second of three runs in `outputs`."""
    for seed in range(3):
        path = Path(f"outputs/runs/digits-resnet20-none-0123456789/seed{seed}")
        path.mkdir(parents=True)
        RunFolder(path).write_record(make_finished(seed=seed))
    return find_runs(Path("outputs"))[1]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_list_shows_the_other_runs(
    damage: Damage, damaged: RunFolder, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    damage(damaged.record_file)
    assert main(["list", "runs"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "/seed" in line]
    assert [line[2] for line in lines] == ["finished", "damaged", "finished"]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("attnbench.runs", logging.WARNING)
    assert record.getMessage().startswith(f"skipped: {damaged.record_file}: damaged: ")
    assert "\n" not in record.getMessage()


def test_the_run_itself_cannot_be_evaluated_or_shown(damaged: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    damaged.record_file.write_text("{")
    for verb in ("evaluate", "table"):
        assert main([verb, str(damaged.path)]) == 2
        error = capsys.readouterr().err
        assert f"{damaged.record_file}: damaged: it is no JSON" in error
        assert error.count("\n") == 1


def test_the_run_is_trained_again_only_when_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", *TINY, "recipe.epochs=1"]
    assert main(words) == 0
    (run,) = find_runs(Path("outputs"))
    run.record_file.write_bytes(b"\xff")
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert (
        "record.json: damaged: it is not text in UTF-8; restore the file, or move it away; run.again=true archives"
        in error
    )
    assert error.count("\n") == 1
    assert run.record_file.read_bytes() == b"\xff"
    assert main([*words, "run.again=true"]) == 0
    assert run.finished()
    assert (run.path.parent / "aside" / "seed0-1" / "record.json").read_bytes() == b"\xff"


def test_damaged_predictions_stop_neither_lists_nor_tables(
    damaged: RunFolder, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    damaged.last_predictions.parent.mkdir()
    damaged.last_predictions.write_bytes(b"torn")
    assert main(["list", "runs"]) == 0
    assert not caplog.records
    assert main(["table", "outputs/runs/*"]) == 0
    assert "± 0.00" in capsys.readouterr().out
    (record,) = caplog.records
    assert record.getMessage().startswith(f"skipped: {damaged.last_predictions}: damaged: it holds no predictions")


def test_damaged_metrics_of_an_interrupted_run_are_restored(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["train", *TINY, "recipe.epochs=1"]
    assert main(words) == 0
    (run,) = find_runs(Path("outputs"))
    whole = run.metrics_file.read_bytes()
    run.record_file.unlink()
    run.metrics_file.write_text("damaged\n")
    capsys.readouterr()
    assert main(words) == 0
    (record,) = caplog.records
    assert "metrics.jsonl, line 1: damaged: it is no JSON" in record.getMessage()
    assert record.getMessage().endswith("; its epochs are restored from last.ckpt")
    assert run.metrics_file.read_bytes() == whole
