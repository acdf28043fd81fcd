"""Runs that diverge: they stop at the step, name the layer, keep the last good checkpoint, and are no result."""

import json
import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench.config.validate import RunConfig
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.predictions import read_predictions
from attnbench.training.checkpoints import epoch_of, read_checkpoint
from attnbench.training.divergence import Snapshot, all_finite, first_bad_step, first_layer
from attnbench.training.failures import DivergedError
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.training.test_train import FEW_IMAGES, record_of

Tiny = Callable[..., RunConfig]
SMALL = (*FEW_IMAGES, "backbone.depth=8", "recipe.epochs=3", "logger=none", "recipe.schedule=multi_step")
IN_THE_MIDDLE = (*SMALL, "recipe.milestones=[1.5]", "recipe.gamma=1e30")
"""The learning rate is 1e29 from the fifth of eight steps of the second epoch on."""


def message_of(job: Job) -> str:
    with pytest.raises(DivergedError) as caught:
        train(job)
    message = str(caught.value)
    assert "\n" not in message
    record = record_of(job)
    assert (record["status"], record["error"]) == ("diverged", message)
    assert RunFolder(job.folder).state() == "diverged"
    return message


def test_a_run_stops_at_the_step_whatever_the_blocks_length(tiny: Tiny) -> None:
    messages = []
    for length in (1, 3, 100):
        job = plan(tiny(*IN_THE_MIDDLE, f"trainer.block_length={length}", f"output=k{length}"))
        messages.append(message_of(job))
        run = RunFolder(job.folder)
        assert epoch_of(read_checkpoint(run.last_checkpoint)) == len(run.rows()) == 1
        assert not run.last_predictions.exists()
    assert len(set(messages)) == 1
    assert messages[0].startswith(
        "training diverged in epoch 2, step 6 of 8: the loss is nan; the first values that are not finite are in "
        "the output of backbone."
    )
    assert "a lower recipe.lr" in messages[0]
    assert messages[0].endswith("run.on_divergence=continue trains on all the same")


def test_the_same_run_again_comes_to_the_same_step(tiny: Tiny) -> None:
    job = plan(tiny(*IN_THE_MIDDLE))
    assert message_of(job) == message_of(job)


def poison(module: TrainingModule) -> None:
    """Spoil a statistic that training writes and does not read."""
    statistic = module.net.get_buffer("backbone.stage2.block0.bn1.running_var")
    statistic.fill_(torch.nan)


@pytest.mark.smoke
def test_weights_and_statistics_are_checked_before_an_epochs_checkpoint(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: TrainingModule, batch: object, index: int) -> None:
        if self.current_epoch == 1:
            poison(self)

    monkeypatch.setattr(TrainingModule, "on_train_batch_start", start)
    job = plan(tiny(*FEW_IMAGES, "backbone.depth=8", "logger=none"))
    assert message_of(job).startswith(
        "training diverged in epoch 2, step 8 of 8: weights or statistics are not finite; the first values that are "
        "not finite are in the weights or statistics of backbone.stage2.block0.bn1; "
    )
    assert epoch_of(read_checkpoint(RunFolder(job.folder).last_checkpoint)) == 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_losses_on_held_out_images_are_checked(split: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingModule, f"on_{split}_start", poison)
    job = plan(tiny(*FEW_IMAGES, "backbone.depth=8", "recipe.epochs=2", "logger=none"))
    epoch = 1 if split == "validation" else 2
    assert message_of(job).startswith(
        f"training diverged in epoch {epoch}, step 8 of 8: the {split} loss is nan; the first values that are not "
        "finite are in the weights of backbone.stage2.block0.bn1; "
    )
    assert len(RunFolder(job.folder).rows()) == (0 if split == "validation" else 2)


def test_on_request_a_run_goes_on_and_its_files_are_json(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    stopped = plan(tiny(*IN_THE_MIDDLE))
    job = plan(tiny(*IN_THE_MIDDLE, "run.on_divergence=continue"))
    assert job.identity == stopped.identity
    with caplog.at_level(logging.WARNING, "attnbench"):
        train(job)
    (record,) = caplog.records
    assert record.getMessage().startswith("training diverged in epoch 2, step 6 of 8: the loss is nan; trains on")
    run = RunFolder(job.folder)
    texts = [run.record_file.read_text(), *run.metrics_file.read_text().splitlines()]
    contents = [json.loads(text, parse_constant=lambda name: pytest.fail(name)) for text in texts]
    assert contents[0]["status"] == "finished"
    assert contents[0]["train/loss"] is contents[0]["test/loss"] is None
    assert 0 <= contents[0]["test/top1_accuracy"] <= 1
    assert [content["train/loss"] is None for content in contents[1:]] == [False, True, True]
    assert read_predictions(run.last_predictions) is not None


def test_a_run_that_goes_on_can_be_resumed(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    job = plan(tiny(*IN_THE_MIDDLE, "run.on_divergence=continue"))
    step = TrainingModule.training_step

    def stopping(self: Any, block: Any, index: int) -> None:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        step(self, block, index)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(job)
    train(job)
    assert record_of(job)["status"] == "finished"


@pytest.mark.parametrize("attention", ["bam", "gated", "ggam", "residual"])
def test_every_attention_can_be_searched_for_the_layer(attention: str, tiny: Tiny) -> None:
    options = {"bam": ["attention.reduction=2"]}.get(attention, [])
    message = message_of(plan(tiny(*IN_THE_MIDDLE, f"attention={attention}", *options)))
    assert "the first values that are not finite are in " in message


class Square(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"square": x * x}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 2), Square(), nn.Identity()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.third(self.second(self.first(x)))


def test_the_first_layer_is_the_first_in_the_order_of_computation() -> None:
    net = Net()
    assert first_layer(net, lambda: net(torch.ones(1, 2))) == ""
    assert first_layer(net, lambda: net(torch.full((1, 2), 1e30))) == "the output of second"
    net.first.weight.data[0, 0] = torch.nan
    assert first_layer(net, lambda: net(torch.ones(1, 2))) == "the weights of first"
    assert not net.first._forward_hooks


def test_a_snapshot_brings_training_back_to_its_step() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    optimizer = torch.optim.AdamW(net.parameters())

    def steps() -> Tensor:
        for _ in range(3):
            net(torch.randn(4, 2)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        return torch.cat([tensor.flatten().double() for tensor in net.state_dict().values()])

    steps()
    snapshot = Snapshot.take(3, net, optimizer, torch.device("cpu"))
    once = steps()
    snapshot.restore(net, optimizer, torch.device("cpu"))
    assert torch.equal(steps(), once)


def test_all_tensors_in_nested_content_count() -> None:
    bad = torch.tensor([1.0, math.inf])
    assert all_finite((torch.ones(2), [torch.tensor(1)], {"a": None}, "text"))
    assert not any(map(all_finite, (bad, [bad], (1, bad), {"a": [bad]})))


def test_the_first_bad_step_of_a_block_counts_all_terms() -> None:
    losses = {"a": torch.ones(8), "b": torch.ones(8)}
    assert first_bad_step(losses, range(2, 6)) is None
    losses["b"][5] = losses["a"][4] = math.inf
    losses["b"][0] = losses["a"][7] = math.nan
    assert first_bad_step(losses, range(2, 6)) == 4
    assert first_bad_step(losses, range(5, 8)) == 5
