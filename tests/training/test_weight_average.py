"""The average of the weights against its recurrence, and what a run measures and keeps of it."""

from collections.abc import Callable

import pytest
import torch

from attnbench.build import build_model
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.runs.folder import Job, RunFolder
from attnbench.training.checkpoints import average_in, read_checkpoint, weights_in
from attnbench.training.experiment import Experiment
from attnbench.training.plan import plan
from attnbench.training.resume import Resumable
from attnbench.training.train import train
from attnbench.training.weight_average import WeightAverage
from tests.conftest import TINY


def test_it_follows_its_recurrence() -> None:
    net = build_model(compose(["data=digits", "backbone.width=4"]))
    average = WeightAverage(net, 0.9)
    average.train()
    assert not average.net.training
    average.follow(net, begin=True)
    expected = {name: tensor.clone().double() for name, tensor in net.state_dict().items()}
    for _ in range(4):
        net(torch.randn(6, 1, 8, 8))  # moves the statistics
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update()
        for name, tensor in net.state_dict().items():
            averaged = 0.9 * expected[name] + 0.1 * tensor.double()
            expected[name] = averaged if tensor.is_floating_point() else tensor.clone()
    for name, tensor in average.net.state_dict().items():
        assert torch.allclose(tensor.double(), expected[name].double(), atol=1e-5), name
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_it_begins_at_the_weights_that_training_begins_at() -> None:
    net = build_model(compose(["data=digits", "backbone.width=4"]))
    average = WeightAverage(net, 0.9)
    with torch.no_grad():
        net.get_parameter("backbone.classifier.bias").fill_(5)
    average.follow(net, begin=True)
    assert average.net.get_parameter("backbone.classifier.bias").tolist() == [5.0] * 10


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished run of three epochs with an average."""
    output = tmp_path_factory.mktemp("averaged")
    job = plan(compose([*TINY, f"output={output}", "recipe.ema=0.8", "recipe.epochs=3"]))
    train(job)
    return job


def test_a_run_measures_both_and_trains_as_without(averaged: Job, tiny: Callable[..., RunConfig]) -> None:
    plain = plan(tiny("recipe.epochs=3"))
    assert plain.identity != averaged.identity
    train(plain)
    run, other = RunFolder(averaged.folder), RunFolder(plain.folder)
    with_average, without = (weights_in(read_checkpoint(folder.last_checkpoint)) for folder in (run, other))
    assert with_average.keys() == without.keys()
    assert all(torch.equal(with_average[name], without[name]) for name in without)
    finished = run.record()
    assert finished is not None
    record = finished.to_json()
    for name in ("val/ema", "test/ema", "test/best/ema"):
        assert 0.4 < record[f"{name}/top1_accuracy"] <= 1
        assert record[f"{name}/loss"] > 0
    assert record["val/ema/loss"] != record["val/loss"]
    assert [row.metrics["val/ema/top1_accuracy"] for row in run.rows()][-1] == record["val/ema/top1_accuracy"]


def test_the_kept_average_gives_what_was_measured(averaged: Job) -> None:
    run, experiment = RunFolder(averaged.folder), Experiment(averaged.config)
    net = experiment.build_network()
    net.load_state_dict(average_in(read_checkpoint(run.last_checkpoint)))
    test = experiment.data.load("test")
    pixels = torch.from_numpy(test.images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (experiment.data.mean, experiment.data.std))
    correct = net.eval()((pixels - mean) / std).argmax(1).numpy() == test.labels
    record = run.record()
    assert record is not None
    assert correct.mean() == pytest.approx(record.to_json()["test/ema/top1_accuracy"], abs=1 / 360)


def test_a_checkpoint_without_its_average_is_damaged(averaged: Job) -> None:
    experiment, run = Experiment(averaged.config), RunFolder(averaged.folder)
    whole = read_checkpoint(run.last_checkpoint)
    resumable = Resumable(averaged, experiment.blueprint, experiment.recipe)
    assert not resumable.problem(whole, None)
    part = {**whole, "state_dict": {k: v for k, v in whole["state_dict"].items() if not k.startswith("average.")}}
    assert resumable.problem(part, None).startswith("its averaged weights do not fit: ")
