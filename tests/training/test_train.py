"""Whole runs: what they leave, that they learn, resume bit for bit, and mind their owner."""

import json
import signal
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.construct import build_data
from attnbench.errors import UserError
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lock import Lock, RunLockedError
from attnbench.runs.predictions import read_predictions
from attnbench.training import train as training
from attnbench.training.callbacks.epoch_log import EpochLog
from attnbench.training.failures import TrainingError
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY

Tiny = Callable[..., RunConfig]
TIMES = ("train/seconds", "images_per_second")
WITH_BAM = ("attention=bam", "attention.reduction=2")
FEW_IMAGES = ("data=cluttered_digits", "data.train_images=96", "data.validation=32", "data.test_images=32",
              "data.batch_size=8")  # fmt: skip
"""Eight steps an epoch."""


def weights(job: Job, checkpoint: str = "last") -> dict[str, torch.Tensor]:
    path = getattr(RunFolder(job.folder), f"{checkpoint}_checkpoint")
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def rows(job: Job) -> list[dict[str, Any]]:
    """A run's metrics without what the clock decides."""
    rows = [row.to_json() for row in RunFolder(job.folder).rows()]
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def record_of(job: Job) -> dict[str, Any]:
    """A run's record as it is in its file."""
    record: dict[str, Any] = json.loads(RunFolder(job.folder).record_file.read_text())
    return record


def trained(job: Job) -> dict[str, Any]:
    """The record, in its file, of a job that is done here."""
    record = train(job)
    assert record is not None
    assert record.to_json() == record_of(job)
    return record_of(job)


def events(job: Job) -> dict[str, list[tuple[int, float]]]:
    accumulator = EventAccumulator(str(job.folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in tags}


@pytest.fixture(autouse=True)
def event_files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a test's event files from 0, as a process of its own would: those of one second are read in the order of
    their names, where file 10 of many tests' comes before its file 9."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """One finished run, for tests that only look."""
    output = tmp_path_factory.mktemp("finished")
    job = plan(compose([*TINY, *WITH_BAM, f"output={output}", "recipe.epochs=3"]))
    train(job)
    return job


def test_the_record_holds_results_costs_and_environment(finished: Job) -> None:
    record = record_of(finished)
    assert (record["schema"], record["identity_scheme"]) == (2, 2)
    assert record["status"] == "finished"
    assert record["seed"] == 0
    assert record["choices"]["attention"] == "bam"
    assert record["config"] == finished.config.values
    assert record["epochs"] == 3
    for key in ("test/top1_accuracy", "test/best/top1_accuracy", "test/top5_accuracy", "val/top1_accuracy"):
        assert 0 <= record[key] <= 1, key
    correct = 360 * record["test/top1_accuracy"]
    assert correct == pytest.approx(round(correct), abs=1e-9)
    for key in ("parameters", "multiply_adds", "images_per_second", "peak_memory_bytes", "wall_seconds"):
        assert record[key] > 0, key
    assert record["environment"]["packages"]["torch"] == torch.__version__.split("+")[0]
    assert {"host", "python", "git", "platform"} <= record["environment"].keys()
    assert record["resolved"]["threads"] == 1
    assert record["data"] == {
        "fingerprint": "scikit-learn digits",
        "classes": 10,
        "image_size": 8,
        "train_images": 1237,
        "validation_images": 200,
        "test_images": 360,
    }


def test_predictions_agree_with_the_recorded_accuracy_to_the_last_image(finished: Job) -> None:
    record, found = record_of(finished), read_predictions(RunFolder(finished.folder).last_predictions)
    assert found is not None
    assert found.accuracy == record["test/top1_accuracy"]
    assert found.label.tolist() == build_data(finished.config).load("test").labels.tolist()
    assert found.index.tolist() == list(range(360))
    assert found.classes == tuple("0123456789")
    assert (found.probability >= found.label_probability).all()
    assert (found.probability == found.label_probability)[found.correct].all()


def test_the_best_epoch_is_the_first_best_validation_epoch(finished: Job) -> None:
    record, found = record_of(finished), rows(finished)
    accuracies = [row["val/top1_accuracy"] for row in found]
    assert record["best_epoch"] == accuracies.index(max(accuracies)) + 1
    assert record["val/best/top1_accuracy"] == max(accuracies)
    best = torch.load(RunFolder(finished.folder).best_checkpoint, weights_only=True)
    assert best["epoch"] + 1 == record["best_epoch"]


def test_checkpoints_hold_plain_data(finished: Job) -> None:
    for path in (finished.folder / "checkpoints").iterdir():
        torch.load(path, weights_only=True)
    assert {path.name for path in (finished.folder / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}


def test_tensorboard_shows_every_metric_against_images_seen(finished: Job) -> None:
    shown = events(finished)
    for split in ("train", "val"):
        for metric in ("loss", "top1_accuracy", "top5_accuracy"):
            assert [step for step, _ in shown[f"{split}/{metric}"]] == [1237, 2474, 3711]
    assert [step for step, _ in shown["test/top1_accuracy"]] == [3711]
    assert {"lr", "images_per_second", "gates/stage1.out/mean", "gates/stage2.out/std"} <= shown.keys()
    assert not any("step" in tag or tag == "hp_metric" for tag in shown)
    accumulator = EventAccumulator(str(finished.folder))
    accumulator.Reload()
    assert "_hparams_/session_start_info" in accumulator.summary_metadata
    content = accumulator.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"attention.reduction" in content


def test_metrics_hold_what_tensorboard_shows(finished: Job) -> None:
    shown = events(finished)
    for row in rows(finished):
        for key, value in row.items():
            if key not in ("epoch", "images"):
                assert dict(shown[key])[row["images"]] == pytest.approx(value)


def test_the_same_again_does_not_train(finished: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_train", lambda *_: pytest.fail("trained again"))
    assert train(finished) == RunFolder(finished.folder).record()


def test_a_run_overfits_a_tiny_set(tiny: Tiny) -> None:
    config = tiny(
        "data=cluttered_digits", "backbone.depth=8", "backbone.width=8", "data.train_images=240", "data.validation=0",
        "data.test_images=200", "data.batch_size=16", "data.distractors=2", "recipe.epochs=20", "recipe.lr=0.1",
    )  # fmt: skip
    record = trained(plan(config))
    assert record["train/top1_accuracy"] > 0.95
    assert record["test/top1_accuracy"] > 0.5  # 0.76 to 0.79 over three seeds


def test_without_validation_there_is_no_best_epoch(tiny: Tiny) -> None:
    job = plan(tiny("data.validation=0", "recipe.epochs=1"))
    record = trained(job)
    assert record["best_epoch"] is None
    assert record["test/best/top1_accuracy"] is None
    assert record["data"]["train_images"] == 1437
    assert not RunFolder(job.folder).best_checkpoint.exists()


@pytest.mark.parametrize("length", [1, 3, 100])
def test_the_block_length_changes_no_bit(length: int, finished: Job, tiny: Tiny) -> None:
    job = plan(tiny(*WITH_BAM, "recipe.epochs=3", f"trainer.block_length={length}"))
    assert job.identity == finished.identity
    train(job)
    assert same(weights(job), weights(finished))
    assert rows(job) == rows(finished)


def stop_after(monkeypatch: pytest.MonkeyPatch, epochs: int, error: BaseException) -> None:
    """Make the first training that comes stop in its epoch `epochs + 1`, in the middle of an epoch."""
    step = TrainingModule.training_step
    calls = {"left": 1}

    def stopping(self: Any, block: Any, index: int) -> None:
        if calls["left"] and self.current_epoch == epochs and index == 1:
            calls["left"] = 0
            raise error
        step(self, block, index)

    monkeypatch.setattr(TrainingModule, "training_step", stopping)


RESUMED = {
    "at once": (0, "backbone=resnet20", "backbone.depth=8"),
    "plain": (2, "backbone=resnet20", "backbone.depth=8"),
    "dropout, augmentation and label noise": (
        2, "backbone=wrn10_1", "backbone.width=1", "backbone.stem_width=4", "backbone.dropout=0.3",
        "data.padding=1", "data.flip=true", "data.label_noise=0.3",
    ),
    "adamw, no validation and resampled labels": (
        2, "recipe=adamw", "backbone.depth=8", "data.validation=0", "data.label_noise=0.3", "data.resampled=true",
    ),
    "adamw at once, and a slower backbone": (
        0, *WITH_BAM, "recipe=adamw", "backbone.depth=8", "recipe.backbone_lr_factor=0.1",
    ),
    "a frozen part and a slower one": (
        2, *WITH_BAM, "backbone.depth=8", "recipe.freeze=stage1", "recipe.backbone_lr_factor=0.1",
    ),
}  # fmt: skip
"""Finished epochs before the stop, and overrides: each option that holds state or draws numbers is in one of them."""


@pytest.mark.parametrize(
    ("epochs", "overrides"),
    [
        pytest.param(epochs, overrides, id=name, marks=[pytest.mark.smoke] * (name == "plain"))
        for name, (epochs, *overrides) in RESUMED.items()
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    epochs: int, overrides: list[str], tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = (*FEW_IMAGES, *overrides, "recipe.epochs=4", "trainer.block_length=4")
    whole, parts = plan(tiny(*common, "output=whole")), plan(tiny(*common, "output=parts"))
    train(whole)
    stop_after(monkeypatch, epochs, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(parts)
    assert record_of(parts)["status"] == "interrupted"
    assert len(RunFolder(parts.folder).rows()) == epochs
    assert trained(parts)["status"] == "finished"
    assert same(weights(parts), weights(whole))
    assert rows(parts) == rows(whole)
    shown, again = events(whole), events(parts)
    assert {tag: points for tag, points in again.items() if tag not in TIMES} == {
        tag: points for tag, points in shown.items() if tag not in TIMES
    }


def test_a_failed_run_says_why_and_can_be_resumed(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    job = plan(tiny(*FEW_IMAGES, "trainer.block_length=4"))
    stop_after(monkeypatch, 1, RuntimeError("the disk is on fire"))
    with pytest.raises(RuntimeError, match="fire"):
        train(job)
    record = record_of(job)
    assert (record["status"], record["error"]) == ("failed", "RuntimeError: the disk is on fire")
    resumed = trained(job)
    assert resumed["status"] == "finished"
    assert "error" not in resumed


def test_choices_of_auto_are_kept_when_a_run_resumes(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # however busy the machine
    job = plan(tiny(*FEW_IMAGES, "trainer.threads=auto", "trainer.block_length=4"))
    torch.set_num_threads(2)
    stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(job)
    torch.set_num_threads(1)
    record = trained(job)
    assert record["resolved"]["threads"] == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_run_again_archives_the_old_run(tiny: Tiny) -> None:
    first = trained(plan(tiny(*FEW_IMAGES, "recipe.epochs=1")))
    job = plan(tiny(*FEW_IMAGES, "recipe.epochs=1", "run.again=true"))
    second = trained(job)
    assert second["test/top1_accuracy"] == first["test/top1_accuracy"]
    (aside,) = (job.folder.parent / "aside").iterdir()
    assert json.loads((aside / "record.json").read_text())["started"] == first["started"]
    assert (aside / "checkpoints" / "last.ckpt").is_file()


def test_a_job_that_was_begun_again_is_resumed_from_its_file(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a queue or a pod that restarts it does; the worker's log, which is open, stays in its place."""
    job = plan(tiny(*FEW_IMAGES, "trainer.block_length=4", "recipe.epochs=2", "run.again=true"))
    run = RunFolder(job.folder)
    trained(job)
    job.save(run.job_file)
    run.log_file.write_text("both trainings\n")
    stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(Job.load(run.job_file))
    assert run.log_file.read_text() == "both trainings\n"
    finished = trained(Job.load(run.job_file))
    assert trained(Job.load(run.job_file)) == finished
    (aside,) = (job.folder.parent / "aside").iterdir()
    assert (aside / "log.txt").read_text() == "both trainings\n"


def test_a_damaged_checkpoint_is_reported_and_can_be_set_aside(tiny: Tiny) -> None:
    config = (*FEW_IMAGES, "recipe.epochs=1")
    job = plan(tiny(*config))
    train(job)
    run = RunFolder(job.folder)
    whole = run.last_checkpoint.read_bytes()
    run.record_file.unlink()
    for content in (b"", b"torn", whole[: len(whole) // 2]):
        run.last_checkpoint.write_bytes(content)
        with pytest.raises(UserError, match=r"last\.ckpt: damaged: it cannot be read .*run\.again=true"):
            train(job)
    for number, recorded in enumerate((True, False), 1):
        run.last_checkpoint.write_bytes(b"torn")
        if not recorded:
            run.record_file.unlink(missing_ok=True)
        assert trained(plan(tiny(*config, "run.again=true")))["status"] == "finished"
        assert (run.path.parent / "aside" / f"seed0-{number}" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.smoke
def test_a_run_that_another_process_trains_is_not_trained_twice(tiny: Tiny) -> None:
    job = plan(tiny())
    with Lock(job.folder), pytest.raises(RunLockedError, match="is being trained by process"):
        train(job)


def test_a_run_that_another_process_took_over_stops(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    job = plan(tiny())
    write = EpochLog.on_train_epoch_end

    def lose(self: EpochLog, *arguments: Any) -> None:
        assert self.lock is not None
        self.lock.lost = True
        write(self, *arguments)

    monkeypatch.setattr(EpochLog, "on_train_epoch_end", lose)
    with pytest.raises(TrainingError, match="took this run over"):
        train(job)
    assert RunFolder(job.folder).rows() == []


def test_a_request_to_terminate_interrupts(tiny: Tiny) -> None:
    job = plan(tiny("recipe.epochs=200"))

    def terminate() -> None:
        while not RunFolder(job.folder).rows():
            time.sleep(0.05)
        signal.raise_signal(signal.SIGTERM)

    watcher = threading.Thread(target=terminate)
    before = signal.getsignal(signal.SIGINT)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        train(job)
    watcher.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert RunFolder(job.folder).state() == "interrupted"


def test_seeds_differ_and_repeat(tiny: Tiny) -> None:
    jobs = [
        plan(tiny(*FEW_IMAGES, "recipe.epochs=1", f"seed={seed}", f"output=o{number}"))
        for number, seed in enumerate((0, 1, 1))
    ]
    for job in jobs:
        train(job)
    assert not same(weights(jobs[0]), weights(jobs[1]))
    assert same(weights(jobs[1]), weights(jobs[2]))
    assert jobs[0].identity == jobs[1].identity


def test_validation_does_not_shift_training(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = (*FEW_IMAGES, "backbone=wrn10_1", "backbone.width=1", "backbone.stem_width=4", "backbone.dropout=0.3")
    plain = plan(tiny(*overrides, "output=plain"))
    train(plain)
    evaluate = TrainingModule.evaluation_step

    def with_draws(self: Any, block: Any) -> None:
        torch.randn(5)  # an evaluation that draws random numbers
        evaluate(self, block)

    monkeypatch.setattr(TrainingModule, "evaluation_step", with_draws)
    drawn = plan(tiny(*overrides, "output=drawn"))
    train(drawn)
    assert same(weights(plain), weights(drawn))


AFTER_TWO_EPOCHS = ("callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1.0")
"""Options under which early stopping stops after the second epoch, as no accuracy rises by 1."""


def test_early_stopping_from_the_configuration(tiny: Tiny) -> None:
    record = trained(plan(tiny(*FEW_IMAGES, "callbacks=early_stopping", *AFTER_TWO_EPOCHS, "recipe.epochs=5")))
    assert record["epochs"] == 2


def test_a_run_that_stopped_early_and_was_killed_before_its_test_is_only_tested(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan(tiny(*FEW_IMAGES, "callbacks=early_stopping", *AFTER_TWO_EPOCHS, "recipe.epochs=5"))
    with monkeypatch.context() as patched:
        patched.setattr(training, "test", stop := Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(job)
    assert stop.called
    stopped = weights(job)
    assert trained(job)["epochs"] == len(rows(job)) == 2
    assert same(weights(job), stopped)


def test_options_of_speed_and_display_train(tiny: Tiny) -> None:
    options = ("trainer.channels_last=false", "trainer.precision=bf16", "logger=none")
    assert trained(plan(tiny(*FEW_IMAGES, *options, "recipe.epochs=1")))["status"] == "finished"


def test_the_logged_rate_is_the_recipes(tiny: Tiny) -> None:
    """Not a group's of its own, and that of each epoch's last step: 8 steps an epoch, x0.5 from the second on."""
    schedule = ("recipe.schedule=multi_step", "recipe.milestones=[1]", "recipe.gamma=0.5", "recipe.warmup=0")
    for factor in (1, 0.1):
        job = plan(tiny(*FEW_IMAGES, *schedule, f"recipe.backbone_lr_factor={factor}", "recipe.lr=0.2"))
        train(job)
        assert [row["lr"] for row in rows(job)] == [0.2, 0.1]


def test_every_other_option_trains_and_changes_the_weights(tiny: Tiny) -> None:
    small = (*FEW_IMAGES, "backbone.depth=8", "recipe.epochs=1", "logger=none")
    plain = plan(tiny(*small))
    train(plain)
    for override in (
        "recipe.label_smoothing=0.1", "recipe.clip_norm=0.1", "recipe.optimizer=adamw", "recipe.schedule=cosine",
        "recipe.decay_norm_and_bias=true", "recipe.nesterov=false", "recipe.backbone_lr_factor=0.1",
        "data.padding=1", "data.flip=true", "data.label_noise=0.3",
    ):  # fmt: skip
        job = plan(tiny(*small, override))
        assert job.identity != plain.identity, override
        assert trained(job)["status"] == "finished", override
        assert not same(weights(job), weights(plain)), override
