"""Damaged, exchanged or moved files of an unfinished run: it goes on bit for bit, or one line says what is wrong."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from attnbench.config.compose import compose
from attnbench.errors import UserError
from attnbench.runs.folder import Job, RunFolder
from attnbench.training.checkpoints import epoch_of, read_checkpoint
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.cli.test_damaged_runs import replace_by_folder
from tests.conftest import TINY
from tests.training.test_train import FEW_IMAGES, record_of, rows, same, weights

SMALL = (*TINY, *FEW_IMAGES, "backbone.depth=8", "recipe.epochs=4", "trainer.block_length=4", "logger=none")


class Interrupted(NamedTuple):
    """A run that was interrupted in its fourth epoch, the same without interruption, and another seed's."""

    job: Job
    whole: Job
    other: Job


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interrupted]:
    output = tmp_path_factory.mktemp("outputs")
    whole = plan(compose([*SMALL, f"output={output}/whole"]))
    train(whole)
    jobs = [plan(compose([*SMALL, f"output={output}/parts", f"seed={seed}"])) for seed in (0, 1)]
    step = TrainingModule.training_step

    def stopping(self: Any, block: Any, index: int) -> None:
        if self.current_epoch == 3:
            raise KeyboardInterrupt
        step(self, block, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", stopping)
        for job in jobs:
            with pytest.raises(KeyboardInterrupt):
                train(job)
    yield Interrupted(jobs[0], whole, jobs[1])


@pytest.fixture
def moved(interrupted: Interrupted, own_folder: Path) -> Job:
    """The interrupted run in another folder: checkpoints hold no path."""
    job = plan(compose([*SMALL, f"output={own_folder}/elsewhere"]))
    shutil.copytree(interrupted.job.folder, job.folder)
    return job


def cut(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))


def changed_metrics(path: Path) -> None:
    first, *others = path.read_text().splitlines(keepends=True)
    path.write_text("".join([json.dumps({**json.loads(first), "val/top1_accuracy": 1.0}) + "\n", *others]))


METRICS: dict[str, tuple[Callable[[Path], object], str]] = {
    "as written": (lambda path: None, ""),
    "emptied": (lambda path: path.write_text(""), "it holds 0 epochs, and last.ckpt those of 3"),
    "halved": (cut, "it holds 1 epochs, and last.ckpt those of 3"),
    "tripled": (lambda path: path.write_text(3 * path.read_text()), "line 4: damaged: epoch must be 4, and is 1"),
    "missing": (Path.unlink, "it holds 0 epochs"),
    "no text": (lambda path: path.write_bytes(b"\xff"), "it is not text in UTF-8"),
    "other numbers": (changed_metrics, "not as it was written"),
}


@pytest.mark.parametrize(("damage", "message"), METRICS.values(), ids=METRICS.keys())
def test_metrics_are_restored_from_the_checkpoint(
    damage: Callable[[Path], object],
    message: str,
    moved: Job,
    interrupted: Interrupted,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(RunFolder(moved.folder).metrics_file)
    with caplog.at_level(logging.WARNING, "attnbench"):
        train(moved)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == bool(message)
    assert message in "".join(warnings)
    assert "\n" not in "".join(warnings)
    assert rows(moved) == rows(interrupted.whole)
    for name in ("last", "best"):
        assert same(weights(moved, name), weights(interrupted.whole, name))
    for name in ("test/top1_accuracy", "test/best/top1_accuracy", "best_epoch"):
        assert record_of(moved)[name] == record_of(interrupted.whole)[name]


Content = dict[str, Any]


def edit(change: Callable[[Content], object]) -> Callable[[RunFolder], None]:
    """Change the content of `last`, and save it as torch does."""

    def edited(run: RunFolder) -> None:
        content = torch.load(run.last_checkpoint, weights_only=True)
        change(content)
        torch.save(content, run.last_checkpoint)

    return edited


def put_nan(content: Content) -> None:
    content["state_dict"]["net.backbone.stem.0.weight"][0] = torch.nan


def count_on(content: Content) -> None:
    own = content["callbacks"]["SaveCheckpoints"]["rows"]
    own.append({**own[-1], "epoch": 4})
    content["epoch"] = 3


def grow(content: Content) -> None:
    state = content["optimizer_states"][0]["state"]
    state[0]["momentum_buffer"] = torch.ones(7)


def overflow(content: Content) -> None:
    content["optimizer_states"][0]["state"][0]["momentum_buffer"][0] = torch.inf


CHECKPOINTS: dict[str, tuple[Callable[[RunFolder], object], str]] = {
    "of another epoch": (edit(lambda content: content.update(epoch=1)), "it is of epoch 2, and holds the metrics of 3"),
    "of a later epoch": (edit(count_on), "its training goes on after epoch 3, and its metrics are of 4"),
    "without a weight": (edit(lambda content: content["state_dict"].popitem()), "1 not in the checkpoint"),
    "not finite": (edit(put_nan), "backbone.stem.0.weight holds values that are not finite"),
    "without optimiser": (edit(lambda content: content.pop("optimizer_states")), "cannot be read (KeyError)"),
    "with an emptied optimiser": (
        edit(lambda content: content["optimizer_states"][0]["state"].clear()), "the state of 0 parameters instead of"
    ),
    "with another optimiser": (
        edit(lambda content: content["optimizer_states"][0]["param_groups"].pop()), "its optimiser has other parameters"
    ),
    "with a momentum of another shape": (edit(grow), "momentum_buffer of parameter 0 is of another shape"),
    "with a momentum that is not finite": (edit(overflow), "momentum_buffer of parameter 0 holds values that are not"),
    "with metrics of another type": (
        edit(lambda content: content["callbacks"]["SaveCheckpoints"].update(rows=7)), "rows must be a list"
    ),
    "a folder": (lambda run: replace_by_folder(run.last_checkpoint), "it is a folder"),
    "of the best epoch only": (lambda run: shutil.copy(run.best_checkpoint, run.last_checkpoint), "last.ckpt: damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_a_checkpoint_that_cannot_be_used_is_one_line(
    damage: Callable[[RunFolder], object], message: str, moved: Job
) -> None:
    damage(RunFolder(moved.folder))
    with pytest.raises(UserError) as caught:
        train(moved)
    assert message in str(caught.value)
    assert "last.ckpt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert record_of(moved)["status"] == "failed"


def test_a_checkpoint_of_another_run_is_refused(moved: Job, interrupted: Interrupted) -> None:
    shutil.copy(RunFolder(interrupted.other.folder).last_checkpoint, RunFolder(moved.folder).last_checkpoint)
    with pytest.raises(UserError, match=r"it is of another run \([0-9a-f]{10}, seed 1\); restore the file"):
        train(moved)


def test_without_its_checkpoint_a_run_begins_again(
    moved: Job, interrupted: Interrupted, caplog: pytest.LogCaptureFixture
) -> None:
    RunFolder(moved.folder).last_checkpoint.unlink()
    with caplog.at_level(logging.WARNING, "attnbench"):
        train(moved)
    assert "last.ckpt is missing: the run begins again from its first epoch" in caplog.text
    assert rows(moved) == rows(interrupted.whole)


def best_row_last(run: RunFolder) -> None:
    """Make the last epoch the best one, as far as the metrics say."""

    def change(content: Content) -> None:
        content["callbacks"]["SaveCheckpoints"]["rows"][-1]["val/top1_accuracy"] = 1.0

    edit(change)(run)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"torn"), lambda path: None])
def test_the_best_checkpoint_is_restored_where_the_best_epoch_is_the_last(
    damage: Callable[[Path], object], moved: Job
) -> None:
    """A process that dies between the two files leaves this."""
    run = RunFolder(moved.folder)
    best_row_last(run)
    damage(run.best_checkpoint)
    expected = weights(moved)
    train(moved)
    assert record_of(moved)["best_epoch"] == 3
    assert epoch_of(read_checkpoint(run.best_checkpoint)) == 3
    assert same(weights(moved, "best"), expected)


def test_a_lost_best_checkpoint_is_one_line_where_it_cannot_be_restored(moved: Job) -> None:
    run = RunFolder(moved.folder)

    def change(content: Content) -> None:
        content["callbacks"]["SaveCheckpoints"]["rows"][0]["val/top1_accuracy"] = 1.0

    edit(change)(run)
    with pytest.raises(UserError, match=r"best\.ckpt: damaged: it is of epoch \d, and the best one is epoch 1"):
        train(moved)
    run.best_checkpoint.unlink()
    with pytest.raises(UserError, match=r"best\.ckpt: damaged: it is missing; restore the file"):
        train(moved)


def as_earlier(content: Content) -> None:
    """As earlier versions wrote it."""
    del content["callbacks"]["SaveCheckpoints"]
    content["callbacks"]["ModelCheckpoint{'monitor': None}"] = {
        "dirpath": "/gone",
        "best_model_path": "/gone/best.ckpt",
    }


def test_a_run_of_an_earlier_version_goes_on(moved: Job, interrupted: Interrupted) -> None:
    edit(as_earlier)(RunFolder(moved.folder))
    train(moved)
    assert rows(moved) == rows(interrupted.whole)
    assert same(weights(moved), weights(interrupted.whole))


def test_a_run_of_an_earlier_version_needs_its_metrics(moved: Job) -> None:
    run = RunFolder(moved.folder)
    edit(as_earlier)(run)
    cut(run.metrics_file)
    with pytest.raises(UserError, match=r"metrics\.jsonl: damaged: it holds 1 epochs, and last\.ckpt is of epoch 3"):
        train(moved)


def test_checkpoints_hold_no_path(interrupted: Interrupted) -> None:
    for path in RunFolder(interrupted.job.folder).last_checkpoint.parent.iterdir():
        content = torch.load(path, weights_only=True)
        content.pop("state_dict")
        assert str(interrupted.job.folder.parent.parent) not in repr(content)
