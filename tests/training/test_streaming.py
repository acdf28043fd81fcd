"""Whole runs on images in files: they train, resume bit for bit, and work in every process that a run may be in."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.runs.folder import Job, RunFolder, find_runs
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.data.pictures import SMALL, truncate, write_folder
from tests.runs.samples import written_record

Tiny = Callable[..., RunConfig]
WORDS = ("data=image_folder", "data.root=set", *SMALL)


@pytest.fixture(autouse=True)
def root(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image folder that every run here trains on."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    return write_folder(own_folder / "set", images=12, splits=("train", "test"))


def weights(job: Job) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(RunFolder(job.folder).last_checkpoint, weights_only=True)["state_dict"]
    return state


def same(one: Job, other: Job) -> bool:
    pairs = zip(weights(one).items(), weights(other).items(), strict=True)
    return all(a == b and torch.equal(first, second) for (a, first), (b, second) in pairs)


def test_a_run_from_end_to_end(tiny: Tiny) -> None:
    job = plan(tiny(*WORDS, "data.validation=6", "data.workers=1"))
    train(job)
    record = written_record(job.folder)
    assert record["status"] == "finished"
    assert record["images"] == 2 * 30
    assert record["data"] == {
        "fingerprint": record["data"]["fingerprint"],
        "classes": 3,
        "image_size": 32,
        "train_images": 30,
        "validation_images": 6,
        "test_images": 9,
    }
    assert record["data"]["fingerprint"].startswith("image_folder ")
    for key in ("test/top1_accuracy", "test/best/top1_accuracy", "val/top1_accuracy"):
        assert 0 <= record[key] <= 1


def test_workers_caches_and_blocks_change_no_bit(tiny: Tiny) -> None:
    jobs = []
    for number, overrides in enumerate(
        ((), ("data.workers=2",), ("data.cache=ram", "trainer.block_length=1"), ("data.cache=disk",))
    ):
        jobs.append(plan(tiny(*WORDS, "backbone=wrn10_1", "backbone.width=1", "backbone.stem_width=4",
                              "backbone.dropout=0.3", f"output=o{number}", *overrides)))  # fmt: skip
        train(jobs[-1])
    assert len({job.identity for job in jobs}) == 1
    assert all(same(job, jobs[0]) for job in jobs)


@pytest.mark.parametrize("overrides", [("data.workers=1",), ("data.cache=ram",)], ids=" ".join)
def test_a_resumed_run_equals_an_uninterrupted_one(
    overrides: tuple[str, ...], tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = (*WORDS, "recipe.epochs=3", "trainer.block_length=2", "data.validation=6", *overrides)
    whole, parts = (plan(tiny(*common, f"output={name}")) for name in ("whole", "parts"))
    train(whole)
    step, stops = TrainingModule.training_step, [1]

    def stopping(self: Any, block: Any, index: int) -> None:
        if stops and self.current_epoch == 1 and index == 1:
            raise KeyboardInterrupt(stops.pop())
        step(self, block, index)

    monkeypatch.setattr(TrainingModule, "training_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(parts)
    assert len(RunFolder(parts.folder).rows()) == 1
    train(parts)
    assert same(parts, whole)
    scores = ("val/top1_accuracy", "test/top1_accuracy", "train/loss")
    records = [written_record(job.folder) for job in (whole, parts)]
    assert all(record[key] for record in records for key in scores[:2])
    assert all(records[0][key] == records[1][key] for key in scores)


def test_without_a_test_set_nothing_is_tested(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "test").rename(root / "unused")
    assert main(["train", *TINY, *WORDS, "data.validation=6"]) == 0
    assert "there is no test set" in capsys.readouterr().out
    (run,) = find_runs(Path("outputs"))
    record = written_record(run.path)
    assert record["status"] == "finished"
    assert record["test/top1_accuracy"] is record["test/best/top1_accuracy"] is None
    assert main(["train", *TINY, *WORDS, "data.validation=6"]) == 0
    assert "already trained" in capsys.readouterr().out
    assert main(["list", "runs"]) == 0


def test_a_bad_image_ends_a_run_and_skipping_it_resumes_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = truncate(root / "test" / "bee" / "image1.png")  # read when training is over
    words = ["train", *TINY, *WORDS]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"{path}: cannot be decoded" in err
    assert main([*words, "data.on_bad_image=skip"]) == 0
    captured = capsys.readouterr()
    assert "epoch" not in captured.out.split("finished")[0].replace("2 epochs", "")  # nothing was trained again
    assert "left out because they cannot be decoded: 1 images" in captured.out
    (run,) = find_runs(Path("outputs"))
    assert written_record(run.path)["data"]["skipped_images"] == 1
    assert written_record(run.path)["data"]["test_images"] == 8


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "attnbench", "train", *words, *TINY, *WORDS]


@pytest.mark.slow
def test_a_sweep_whose_runs_have_workers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *TINY, *WORDS, "seed=0,1", "data.workers=1", "recipe.epochs=1"]) == 0
    assert "2 runs: 2 trained" in capsys.readouterr().out
    for run in find_runs(Path("outputs")):
        assert "Traceback" not in run.log_file.read_text()
        assert written_record(run.path)["config"]["data"]["workers"] == 1


def test_ctrl_c_ends_run_and_workers_quietly() -> None:
    words = [*command(), "recipe.epochs=2000", "data.workers=2"]
    for word in ("data.workers=0", "recipe.epochs=2"):
        words.remove(word)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (runs := find_runs(Path("outputs"))) or len(runs[0].rows()) < 1:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)  # ends when no process holds the pipe any more
    assert process.returncode == 130
    assert "the same command resumes the run" in err
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.slow
def test_two_processes_are_one_run(own_folder: Path) -> None:
    (own_folder / "mine" / "callbacks").mkdir(parents=True)
    spy = f"spy:\n  _target_: tests.training.spy.SaveWeights\n  folder: {own_folder}\n"
    (own_folder / "mine" / "callbacks" / "spy.yaml").write_text(spy)
    words = [*command("--config-dir", "mine", "callbacks=spy", "trainer.devices=2", "trainer.accelerator=cpu")]
    words += ["data.workers=1", "data.cache=disk", "data.on_bad_image=skip"]
    words.remove("data.workers=0")
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    result = subprocess.run(words, check=False, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("decoding 36 images") == 1
    first, second = (torch.load(own_folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    seen = [first.pop("seen"), second.pop("seen")]
    assert [sorted(seen[0][epoch] + seen[1][epoch]) for epoch in (slice(None, 18), slice(18, None))] == [
        list(range(36))
    ] * 2
    assert all(torch.equal(first[key], second[key]) for key in first)
