"""A trained run in one line of Python."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import attnbench
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.files import read_json, write_json
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.trained_run import TrainedRun
from tests.conftest import TINY


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The job of a finished run with attention maps."""
    output = tmp_path_factory.mktemp("trained")
    job = plan(attnbench.compose([*TINY, "attention=bam", "attention.reduction=2", f"output={output}"]))
    train(job)
    return job


def load(job: Any, checkpoint: str = "last") -> TrainedRun:
    return attnbench.load_run(job.folder, checkpoint)


def test_it_predicts_what_the_record_says(trained: Any) -> None:
    run = load(trained)
    probabilities = run.predict(run.test_images)
    assert torch.allclose(probabilities.sum(1), torch.ones(len(probabilities)), atol=1e-5)
    accuracy = (probabilities.argmax(1) == run.test_labels).double().mean().item()
    # the run may have been tested in bf16, which moves a few borderline images
    assert accuracy == pytest.approx(run.record.metrics["test/top1_accuracy"], abs=0.02)


def test_predictions_are_those_of_the_runs_own_test(trained: Any, own_folder: Path) -> None:
    found = load(trained).test_predictions
    assert found.accuracy == load(trained).record.metrics["test/top1_accuracy"]
    run = attnbench.load_run(shutil.copytree(trained.folder, own_folder / "copy"))
    shutil.rmtree(own_folder / "copy" / "predictions")
    with pytest.raises(UserError, match=r"predictions/last.npz is not there; attnbench evaluate copy writes it"):
        _ = run.test_predictions


def test_predictions_that_are_not_there_name_the_command_that_writes_them(trained: Any, own_folder: Path) -> None:
    path = shutil.copytree(trained.folder, own_folder / "copy")
    record = read_json(path / "record.json") or {}
    write_json(path / "record.json", {**record, "epochs": record["epochs"] + 1, "best_epoch": record["epochs"]})
    shutil.copy(path / "checkpoints/last.ckpt", path / "checkpoints/best.ckpt")
    message = r"predictions/best.npz is not there; attnbench evaluate copy --checkpoint best writes it"
    with pytest.raises(UserError, match=message):
        _ = attnbench.load_run(path, "best").test_predictions


def test_images_are_the_whole_test_set_in_order(trained: Any) -> None:
    run = load(trained)
    assert run.test_images.shape[1:] == (1, 8, 8)
    assert run.test_labels.tolist() == run._experiment.data.load("test").labels.tolist()
    assert len(run.classes) == 10


def test_maps_have_the_batch_in_front(trained: Any) -> None:
    run = load(trained)
    maps = run.maps(run.test_images[:3])
    assert maps
    assert all(values.shape[0] == 3 and values.ndim == 4 for values in maps.values())


def test_the_model_is_in_evaluation_mode_and_has_the_checkpoints_weights(trained: Any) -> None:
    run = load(trained)
    stored = torch.load(trained.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert not run.model.training
    assert all(torch.equal(stored[f"net.{key}"], value) for key, value in run.model.state_dict().items())


def test_a_run_is_named_by_folder_hash_or_record(trained: Any) -> None:
    output = trained.folder.parents[2]
    for name in (trained.folder, trained.folder / "record.json"):
        assert attnbench.load_run(name).folder == trained.folder
    assert attnbench.load_run(trained.identity[:6], output=output).folder == trained.folder


def test_the_best_checkpoint_can_be_loaded(trained: Any) -> None:
    assert "best checkpoint" in repr(load(trained, "best"))


def test_several_seeds_are_told_apart(tiny: Callable[..., RunConfig]) -> None:
    for seed in (0, 1):
        train(plan(tiny("recipe.epochs=1", f"seed={seed}")))
    with pytest.raises(UserError, match=r"2 runs are meant: .*seed0, .*seed1; name one of them"):
        attnbench.load_run(plan(tiny("recipe.epochs=1")).folder.parent)


def test_an_unfinished_run_is_rejected(own_folder: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such run"):
        attnbench.load_run("nowhere")
