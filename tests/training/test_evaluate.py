"""A run's test once more: the recorded number to the last digit, and what changes it."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.build import build_model
from attnbench.config.compose import Composer, compose
from attnbench.construct import build_data
from attnbench.errors import UserError
from attnbench.runs.evaluations import Evaluation, SaveError, keep, settle
from attnbench.runs.files import write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock
from attnbench.runs.predictions import Predictions, read_predictions
from attnbench.training.evaluate import check, evaluate
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.runs.samples import make_entry

CLUTTERED = ("data=cluttered_digits", "data.train_images=1000", "data.validation=200", "data.test_images=300")
LEARNS = ("recipe.epochs=6", "data.batch_size=32", "recipe.lr=0.2", "backbone.depth=8")


def trained(output: Path, *overrides: str) -> RunFolder:
    job = plan(compose([*TINY, *overrides, f"output={output}"]))
    train(job)
    return RunFolder(job.folder)


@pytest.fixture(scope="module")
def cluttered(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on cluttered digits that has learned something."""
    return trained(tmp_path_factory.mktemp("cluttered"), *CLUTTERED, *LEARNS)


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of gated attention, whose modules can predict alone."""
    overrides = ("attention=gated", "attention.depth=1", "attention.deepest=before_last", "attention.width=2")
    return trained(tmp_path_factory.mktemp("gated"), *overrides)


@pytest.fixture
def own(cluttered: RunFolder, own_folder: Path) -> RunFolder:
    """A copy of the run on cluttered digits, to be changed."""
    return RunFolder(Path(shutil.copytree(cluttered.path, own_folder / "run" / "seed0")))


def evaluation(run: RunFolder, *overrides: str, checkpoint: str = "last") -> Evaluation:
    settled = settle(run, checkpoint, Composer(), overrides)
    check(settled)
    return settled


def rejection(run: RunFolder, *overrides: str, checkpoint: str = "last") -> str:
    with pytest.raises(UserError) as caught:
        evaluation(run, *overrides, checkpoint=checkpoint)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def record_of(run: RunFolder) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(run.record_file.read_text())
    return record


def result_of(settled: Evaluation) -> dict[str, Any]:
    """The entry that an evaluation adds to the run's file."""
    return evaluate(settled).entry.to_json()


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_the_same_test_gives_the_recorded_number(checkpoint: str, cluttered: RunFolder, gated: RunFolder) -> None:
    for run in (cluttered, gated):
        record, entry = record_of(run), result_of(evaluation(run, checkpoint=checkpoint))
        prefix = "test/best/" if checkpoint == "best" else "test/"
        for name in ("top1_accuracy", "top5_accuracy", "loss"):
            assert entry[f"test/{name}"] == record[f"{prefix}{name}"], name
        assert entry["test/top1_accuracy"] - entry["recorded/top1_accuracy"] == 0
        assert entry["epoch"] == record["best_epoch" if checkpoint == "best" else "epochs"]
        assert record_of(run) == record


def test_predictions_of_both_checkpoints_are_kept(own_folder: Path) -> None:
    run = trained(own_folder, "data.validation=10", "recipe.lr=1e-9")  # so the last epoch is no better than the first
    record, last, best = record_of(run), read_predictions(run.last_predictions), read_predictions(run.best_predictions)
    assert record["best_epoch"] < record["epochs"]
    assert last is not None
    assert best is not None
    assert (last.accuracy, best.accuracy) == (record["test/top1_accuracy"], record["test/best/top1_accuracy"])
    assert last.probability.tolist() != best.probability.tolist()
    again = evaluate(evaluation(run, checkpoint="best")).predictions
    assert isinstance(again, Predictions)
    assert again.probability.tolist() == best.probability.tolist()


def test_an_entry_says_what_was_computed_on_what(cluttered: RunFolder) -> None:
    record, entry = record_of(cluttered), result_of(evaluation(cluttered))
    for key in ("parameters", "multiply_adds", "resolved", "environment"):
        assert entry[key] == record[key], key
    assert entry["data"] == {
        "fingerprint": record["data"]["fingerprint"], "classes": 10, "image_size": 24, "test_images": 300,
    }  # fmt: skip
    assert entry["images_per_second"] == 300 / entry["seconds"] > 0
    assert json.loads(json.dumps(entry)) == entry


def test_other_test_images_are_what_is_counted(cluttered: RunFolder) -> None:
    """The accuracy is that of a forward pass of our own over the other images."""
    settled = evaluation(cluttered, "data.distractors=0", "trainer.precision=fp32")
    entry = result_of(settled)
    data = build_data(settled.config)
    net = build_model(settled.config, data).eval()
    state = torch.load(cluttered.last_checkpoint, weights_only=True)["state_dict"]
    net.load_state_dict({key.removeprefix("net."): value for key, value in state.items()})
    arrays = data.load("test")
    images = torch.from_numpy(arrays.images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        predicted = net((images - data.mean[0]) / data.std[0]).argmax(1)
    hits = (predicted == torch.from_numpy(arrays.labels)).float().mean().item()
    assert entry["test/top1_accuracy"] == pytest.approx(hits, abs=1 / 300)  # one image may lie on the border
    assert entry["test/top1_accuracy"] > record_of(cluttered)["test/top1_accuracy"]  # nothing hides the digits
    assert (entry["settings"], entry["resolved"]["precision"]) == (settled.settings, "fp32")


def test_another_data_set_with_as_many_classes(cluttered: RunFolder) -> None:
    entry = result_of(evaluation(cluttered, "data=digits"))
    assert (entry["data"]["image_size"], entry["data"]["test_images"]) == (8, 360)
    assert entry["multiply_adds"] < record_of(cluttered)["multiply_adds"]


@pytest.mark.smoke
def test_gated_attention_predicts_from_its_modules_alone(gated: RunFolder) -> None:
    """The network leaves before its last stage: less is computed, and the prediction is another one."""
    entry = result_of(evaluation(gated, "attention.predict=modules"))
    record = record_of(gated)
    assert entry["multiply_adds"] < 0.8 * record["multiply_adds"]
    assert entry["test/loss"] != record["test/loss"]


def test_choices_of_the_run_are_kept_unless_set_otherwise(own: RunFolder) -> None:
    record = record_of(own)
    other = "fp32" if record["resolved"]["precision"] == "bf16" else "bf16"
    record["resolved"] |= {"precision": other, "channels_last": False}  # as another machine would choose
    write_json(own.record_file, record)
    assert result_of(evaluation(own))["resolved"] == record["resolved"]
    set_otherwise = result_of(evaluation(own, "trainer.channels_last=true", "trainer.threads=1"))["resolved"]
    assert set_otherwise == {**record["resolved"], "channels_last": True}


def test_only_the_test_set_is_read(cluttered: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = evaluation(cluttered)
    kind = type(build_data(settled.config))
    read: list[str] = []
    load = kind.load

    def watched(self: Any, split: Any) -> Any:
        read.append(split)
        return load(self, split)

    monkeypatch.setattr(kind, "load", watched)
    result_of(settled)
    assert read == ["test"]


MISFITS = {
    ("attention.width=4",): "attention.width=4: the run's weights do not fit: 3 of another shape (attention.heads.",
    ("attention.depth=2",): "not in the checkpoint (attention.heads.stage1.",
    ("attention.global_gates=none",): "do not fit: 1 only in the checkpoint (attention.gate.weight)",
    ("data=cifar100",): "data=cifar100: has 100 classes, the run learned 10",
    ("attention.width=0",): "attention.width=0: must be at least 1",
    ("data=cifar10", "data.root=nowhere"): "no cifar-10-batches-py in",
    ("trainer.accelerator=mps",): "trainer.accelerator=mps: there is none on this machine",
    ("trainer.devices=2",): "trainer.devices=2: an evaluation runs on one device",
}


@pytest.mark.parametrize(("overrides", "message"), MISFITS.items())
def test_overrides_that_do_not_fit_are_rejected_in_one_line(
    overrides: tuple[str, ...], message: str, gated: RunFolder
) -> None:
    assert message in rejection(gated, *overrides)


def test_runs_that_cannot_be_evaluated(own: RunFolder) -> None:
    record = record_of(own)
    with Lock(own.path):
        assert "is being trained" in rejection(own)
    write_json(own.record_file, {**record, "best_epoch": None, "test/best/top1_accuracy": None})
    assert "held out no validation images" in rejection(own, checkpoint="best")
    write_json(own.record_file, {**record, "epochs": 5, "best_epoch": None, "test/best/top1_accuracy": None})
    assert "checkpoints/last.ckpt is of epoch 6, and the record says 5" in rejection(own)
    for status in ("interrupted", "failed", "running"):
        write_json(own.record_file, {**record, "status": status})
        state = "interrupted" if status == "running" else status
        assert f"the run is {state} after 6/6 epochs; finish it first" in rejection(own)
    own.last_checkpoint.unlink()
    assert "the run is interrupted and has no checkpoint" in rejection(own)
    write_json(own.record_file, record)
    assert "checkpoints/last.ckpt is not there" in rejection(own)
    for content in (b"", b"torn", RunFolder(own.path).best_checkpoint.read_bytes()[:20_000]):
        own.last_checkpoint.write_bytes(content)
        assert "checkpoints/last.ckpt: damaged: it cannot be read" in rejection(own)


def test_a_run_of_an_older_version_can_be_evaluated(own: RunFolder) -> None:
    record = record_of(own)
    for group, key in (("data", "flip"), ("trainer", "channels_last"), ("recipe", "warmup")):
        del record["config"][group][key]
    del record["resolved"]["channels_last"]
    write_json(own.record_file, record)
    assert evaluate(evaluation(own)).entry.difference == 0


def test_a_run_on_several_devices_is_evaluated_on_one(own: RunFolder) -> None:
    record = record_of(own)
    record["config"]["trainer"]["devices"] = record["resolved"]["devices"] = 2
    write_json(own.record_file, record)
    entry = result_of(evaluation(own))
    assert (entry["resolved"]["devices"], entry["test/top1_accuracy"] - entry["recorded/top1_accuracy"]) == (1, 0)


def test_results_are_kept_by_checkpoint_and_settings(own: RunFolder) -> None:
    entries = {
        ("last", ()): "last",
        ("best", ()): "best",
        ("last", ("data.distractors=3", "data.batch_size=50")): "last data.batch_size=50 data.distractors=3",
        ("last", ("data.batch_size=50.0", "data.distractors=3")): "last data.batch_size=50 data.distractors=3",
        ("last", ("data.distractors=8",)): "last",  # what the run was trained with
    }
    for number, ((checkpoint, overrides), key) in enumerate(entries.items()):
        settled = evaluation(own, *overrides, checkpoint=checkpoint)
        assert settled.key == key
        keep(settled, make_entry(epoch=number))
    kept = json.loads(own.evaluations_file.read_text())
    assert {key: entry["epoch"] for key, entry in kept.items()} == {
        "last": 4, "best": 1, "last data.batch_size=50 data.distractors=3": 3,
    }  # fmt: skip


def test_evaluations_at_once_lose_no_entry(own: RunFolder) -> None:
    settled = [evaluation(own, f"data.distractors={number}") for number in range(16)]
    start = threading.Barrier(len(settled))

    def write(one: Evaluation) -> None:
        start.wait()
        keep(one, make_entry(settings=one.settings))

    threads = [threading.Thread(target=write, args=(one,)) for one in settled]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert json.loads(own.evaluations_file.read_text()).keys() == {one.key for one in settled}


def test_a_result_of_a_run_that_changed_meanwhile_is_not_kept(own: RunFolder) -> None:
    settled = evaluation(own)
    with Lock(own.path), pytest.raises(SaveError, match="trained again meanwhile"):
        keep(settled, make_entry())
    write_json(own.record_file, {**record_of(own), "started": "later"})
    with pytest.raises(SaveError, match="trained again meanwhile"):
        keep(settled, make_entry())
    assert not own.evaluations_file.exists()


def test_a_damaged_file_of_results_is_left_alone(own: RunFolder) -> None:
    own.evaluations_file.write_text('{"last": ')
    with pytest.raises(SaveError, match="damaged"):
        keep(evaluation(own), make_entry())
    assert own.evaluations_file.read_text() == '{"last": '


def test_an_evaluation_can_be_stopped(cluttered: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    step: Callable[..., None] = TrainingModule.test_step
    monkeypatch.setattr(TrainingModule, "test_step", stop)
    with pytest.raises(KeyboardInterrupt):  # where Lightning would exit with status 1
        result_of(evaluation(cluttered))
    monkeypatch.setattr(TrainingModule, "test_step", step)
    assert evaluate(evaluation(cluttered)).entry.difference == 0
