"""Whole runs of detectors: what they leave, that they resume bit for bit, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.cli.main import main
from attnbench.config.compose import Composer, compose
from attnbench.detection.images import drawing
from attnbench.errors import UserError
from attnbench.runs.evaluations import settle
from attnbench.runs.folder import Job, RunFolder
from attnbench.training import debug
from attnbench.training.evaluate import evaluate
from attnbench.training.experiment import Experiment
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.trained_run import load_run
from tests.training.test_train import record_of, rows, same, weights

SMALL = (
    "task=detection", "task.channels=8", "backbone.depth=8", "backbone.width=8", "data.train_images=24",
    "data.validation=8", "data.test_images=8", "data.batch_size=8", "recipe.epochs=2", "trainer.threads=1",
    "trainer.precision=fp32", "logger=none",
)  # fmt: skip


def small(*overrides: str) -> Job:
    return plan(compose([*SMALL, *overrides]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    job = small("attention=bam", "attention.reduction=4", f"output={tmp_path_factory.mktemp('outputs')}")
    train(job)
    yield job


def test_a_run_is_recorded_under_the_names_of_detection(finished: Job) -> None:
    record, run = record_of(finished), RunFolder(finished.folder)
    for name in ("map", "map50", "map75", "voc07_map50", "voc12_map50"):
        assert 0 <= record[f"test/{name}"] <= 1
        assert 0 <= record[f"test/best/{name}"] <= 1
        assert 0 <= rows(finished)[-1][f"val/{name}"] <= 1
    assert f"test/map50/{3}" in record  # of each class
    assert record["val/best/map50"] == max(row["val/map50"] for row in rows(finished))
    assert {"train/loss/classification", "train/loss/bbox_regression"} <= rows(finished)[0].keys()
    assert record["parameters"] > record["attention_parameters"] > 0
    assert record["choices"]["task"] == "detection"
    results = json.loads((run.path / "predictions" / "last.json").read_text())
    assert all(set(row) == {"image_id", "category_id", "bbox", "score"} for row in results)


def test_a_run_evaluates_to_what_it_recorded(finished: Job) -> None:
    found = evaluate(settle(RunFolder(finished.folder), "last", Composer(), ()))
    assert found.entry.accuracy == record_of(finished)["test/map50"]
    assert found.entry.difference == 0


@pytest.mark.parametrize("detector", ["retinanet", pytest.param("faster_rcnn", marks=pytest.mark.slow)])
def test_a_resumed_run_equals_an_uninterrupted_one(
    detector: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (f"task.detector={detector}", "data.test_images=4")
    whole = small(*words, "output=whole")
    train(whole)
    step = TrainingModule.training_step

    def stopping(self: Any, block: Any, index: int) -> None:
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        step(self, block, index)

    parts = small(*words, "output=parts")
    monkeypatch.setattr(TrainingModule, "training_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(parts)
    monkeypatch.setattr(TrainingModule, "training_step", step)
    train(parts)
    assert same(weights(whole), weights(parts))
    tested = [{key: value for key, value in record_of(job).items() if key[:4] == "test"} for job in (whole, parts)]
    assert tested[0] == tested[1]


def test_attention_is_inserted_and_read_behind_it() -> None:
    plain, refined = (Experiment(compose([*SMALL, f"attention={name}"])).blueprint for name in ("none", "eca"))
    added = sum(parameter.numel() for parameter in refined.parameters()) - sum(
        parameter.numel() for parameter in plain.parameters()
    )
    assert added > 0
    assert Experiment(compose([*SMALL, "attention=eca"])).cost.attention_parameters == added


def test_no_parameter_is_without_a_gradient() -> None:
    experiment = Experiment(compose([*SMALL, "attention=bam", "attention.reduction=4"]))
    net = experiment.build_network()
    losses = experiment.task.probe_losses(net, torch.rand(2, 1, 64, 64), 10)
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_frozen_normalisation_stays_and_that_of_attention_trains() -> None:
    words = ("attention=bam", "attention.reduction=4", "task.freeze_norms=true")
    net = Experiment(compose([*SMALL, *words])).build_network().train()
    modes = {name: module.training for name, module in net.named_modules() if "norm" in name or ".bn" in name}
    assert {trains for name, trains in modes.items() if "/bam" in name or ".bam." in name} == {True}
    assert {trains for name, trains in modes.items() if ".bn1" in name} == {False}
    assert not net.get_parameter("model.backbone.body.stage1.block0.bn1.weight").requires_grad


REFUSED = {
    "gated": (("attention=gated",), "attention: it makes predictions of classes itself"),
    "ggam": (("attention=ggam",), "attention: it makes predictions of classes itself"),
    "preactivated": (("backbone=wrn10_1",), "the stages of this backbone end in sums"),
    "data of classification": (
        ("data=cifar10",),
        "data=cifar10: is for task=classification, and the task is",
    ),
    "mixup": (("recipe.mixup=0.2",), "recipe.mixup=0.2: must be 0.0 in detection"),
    "channels": (("task.channels=0",), "task.channels=0: must be at least 1, or auto"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], message: str) -> None:
    kept = [word for word in SMALL if not word.startswith("backbone." if "backbone" in words[0] else "data.")]
    with pytest.raises(UserError) as caught:
        plan(compose([*(kept if words[0].startswith(("backbone=", "data=")) else SMALL), *words]))
    assert message in str(caught.value)


def test_a_detection_set_is_not_classified() -> None:
    with pytest.raises(UserError, match="data=cluttered_digits_boxes: is for task=detection"):
        plan(compose(["data=cluttered_digits_boxes"]))


def test_what_takes_classifiers_says_so(finished: Job) -> None:
    with pytest.raises(UserError, match="this takes networks that classify images, and the task is detection"):
        load_run(finished.folder)


def test_lists_and_tables_show_map50(
    finished: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = finished.folder.parents[2]
    record = record_of(finished)
    assert main(["list", "runs", "--output", str(output)]) == 0
    assert f"{record['test/map50']:.2%}" in capsys.readouterr().out
    for words, metric in ((["--metric", "map75"], "map75"), ([], "map50")):
        assert main(["table", str(finished.folder), *words]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"1 run, {metric}") and f"{100 * record[f'test/{metric}']:.2f}" in out


@pytest.mark.slow
def test_the_objects_of_a_batch_are_learnt_by_heart_or_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*SMALL, "task.channels=32", "backbone.width=16", "recipe.lr=3e-3", "debug=overfit"]
    assert main(["train", *words]) == 0
    assert "so they are learnt" in capsys.readouterr().out
    monkeypatch.setattr(debug, "OVERFIT_STEPS", 2)
    assert main(["train", *words]) == 1
    assert "is still 0.0% after 2 steps; try another recipe.lr" in capsys.readouterr().out


def test_a_batch_of_each_split_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *SMALL, "debug=one_batch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == ["train", "validation", "test"]
    assert all("mAP50" in line for line in lines[-2:])


@pytest.mark.slow
def test_speed_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *SMALL, "--measure", "--batch", "2", "--turns", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]["training_seconds"][0] > 0


def test_detections_are_drawn_over_objects() -> None:
    image, target = torch.zeros(1, 64, 64), {"boxes": torch.tensor([[8.0, 8.0, 30.0, 30.0]])}
    boxes = torch.tensor([[10.0, 10.0, 40.0, 40.0], [1.0, 1.0, 5.0, 5.0]])
    detected = {"boxes": boxes, "labels": torch.tensor([1, 2]), "scores": torch.tensor([0.9, 0.1])}
    drawn = drawing(image, target, detected, ["a", "b"])
    assert drawn.shape == (3, 256, 256)
    assert drawn[:, 100, 32].tolist() == [0, 255, 0]  # an object's left edge
    assert drawn[:, 100, 160].tolist() == [255, 0, 0]  # a detection's right edge
    assert drawn[:, :30, :30].max() == 0  # its score is too low
