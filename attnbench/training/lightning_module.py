"""The base of the LightningModules of all tasks: blocks of optimiser steps for any network.

Lightning's loop costs several tenths of a millisecond a call. So each call gets a block of K batches, and this module
takes the K steps itself (manual optimisation) on the raw optimiser, with counters on the device. K changes the speed
and nothing else: results are bit-equal for every K.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from attnbench.classifier import Network
from attnbench.data.loaders.base import Epoch, Loader
from attnbench.runs.metric_names import (
    ATTENTION_PREFIX,
    AVERAGE,
    IMAGES,
    IMAGES_PER_SECOND,
    LOSS,
    SECONDS,
    VAL,
    metric_name,
)
from attnbench.runs.predictions import SavedPredictions
from attnbench.seeding import derive_seed
from attnbench.training.datamodule import Block
from attnbench.training.distributed import average_buffers
from attnbench.training.divergence import DivergenceWatch
from attnbench.training.evaluation_meter import SplitMeter
from attnbench.training.freezing import freeze
from attnbench.training.hardware import Hardware
from attnbench.training.lightning_compat import count_optimizer_steps
from attnbench.training.metrics import ImageCounter, LossMeter, LossStep, Step, require_images, total
from attnbench.training.optimizers import make_optimizer, set_rates
from attnbench.training.recipe import Recipe
from attnbench.training.weight_average import WeightAverage


class ForwardPass(NamedTuple):
    """The result of a forward pass on a training batch.

    Attributes:
        output: of the network, with its graph.
        losses: terms of the loss by name, already weighted.
        target: what the losses compare the output with.
        images: of this process's share of the batch.
    """

    output: Any
    losses: dict[str, Tensor]
    target: Any
    images: int


class TrainingModule(pl.LightningModule, ABC):
    """Train and evaluate a network.

    After each epoch `train_metrics`, `validation_metrics` and `attention_statistics` hold its results; after a test,
    `test_metrics` do. `seen` counts training images as they are seen.

    A subclass defines `make_meter`, `make_evaluation`, `forward_pass`, `step_of` and `evaluate_batch` for its task.

    Args:
        net: the network.
        recipe: how it is trained.
        hardware: the precision to compute in.
        loaders: the run's data by split: `train` and, where images are held out, `validation` to fit, `test` to test.
        seed: draws dropout and the like.
        on_divergence: `stop` or `continue`, where loss or weights are not finite; None where it is no matter.
    """

    def __init__(
        self,
        net: Network,
        recipe: Recipe,
        hardware: Hardware,
        loaders: Mapping[str, Loader],
        seed: int,
        on_divergence: str | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.recipe, self.hardware, self.loaders, self.run_seed = net, recipe, hardware, loaders, seed
        self.frozen_norms = tuple(freeze(net, recipe.freeze))
        self.classes = net.backbone.num_classes
        self.evaluation = self.make_evaluation()
        self.average = WeightAverage(net, recipe.ema) if recipe.ema and "train" in loaders else None
        self.average_evaluation = None if self.average is None else self.make_evaluation()
        self.seen = ImageCounter()
        self.batches, self.epochs_begun = len(loaders["train"]) if "train" in loaders else 0, 0
        self.steps = math.ceil(self.batches / recipe.accumulate)
        self.world_size = next(iter(loaders.values())).placement.world
        self.train_metrics: dict[str, Any] = {}
        self.validation_metrics: dict[str, Any] = {}
        self.test_metrics: dict[str, Any] = {}
        self.attention_statistics: dict[str, float] = {}
        self.watch = None if on_divergence is None else DivergenceWatch(self, on_divergence == "stop")

    # defined by each task

    @abstractmethod
    def make_meter(self) -> LossMeter:
        """Build what counts the training images of one epoch."""

    @abstractmethod
    def make_evaluation(self) -> SplitMeter:
        """Build what counts the images of an evaluation."""

    @abstractmethod
    def forward_pass(self, epoch: Epoch, number: int) -> ForwardPass:
        """Compute the network's output and losses for batch `number` of an epoch."""

    @abstractmethod
    def step_of(self, done: ForwardPass) -> Step | LossStep:
        """Return what the epoch's meter counts of a step."""

    @abstractmethod
    def evaluate_batch(self, net: Network, meter: SplitMeter, images: Any, targets: Any) -> Any:
        """Count a batch for a network, and return its predictions."""

    def collect(self, epoch: Epoch, number: int, predictions: Any, targets: Any) -> None:
        """Keep the predictions for batch `number` of a test."""

    def diagnostics_of(self, done: ForwardPass) -> dict[str, Tensor]:
        """Return detached scalars of the attention for a batch, before its graph is gone."""
        del done
        return {}

    def statistics_of(self, output: Any) -> dict[str, float]:
        """Return statistics of the attention's maps for a batch."""
        del output
        return {}

    def predictions(self, classes: Sequence[str]) -> SavedPredictions | None:
        """Return the predictions of the last test; None if they are not kept.

        Args:
            classes: names of the classes, in the order of the labels.
        """
        del classes
        return None

    def autocast(self) -> torch.autocast:
        """Return the context in which forward passes and losses are computed."""
        return torch.autocast(
            self.hardware.device_type, dtype=torch.bfloat16, enabled=self.hardware.precision == "bf16"
        )

    # training

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for norm in self.frozen_norms:
            norm.eval()
        return self

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimizer(self.net, self.recipe)

    def on_train_epoch_start(self) -> None:
        self.begin_epoch(self.current_epoch)

    def begin_epoch(self, number: int) -> None:
        """Draw and count anew for an epoch, counted from 0."""
        torch.manual_seed(derive_seed(self.run_seed, "forward", number, self.global_rank))
        self.steps_before = number * self.steps
        self.epochs_begun = number + 1
        self.meter = self.make_meter()
        if self.average is not None:
            self.average.follow(self.net, begin=number == 0)
        self.seen.images = number * self.loaders["train"].images
        self.epoch_started = time.perf_counter()

    def training_step(self, block: Block, index: int) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        steps = []
        if self.watch is not None:
            self.watch.before(block, optimizer)
        for number in block.numbers:
            output, step = self.step(optimizer, block.epoch, number)
            steps.append(step)
            self.seen.images += block.epoch.size(number)
        self.meter.add(block.numbers.start, steps)
        ends = [self.recipe.joined(number, self.batches)[-1] == number for number in block.numbers]
        count_optimizer_steps(self.trainer, sum(ends))
        if self.watch is not None:
            self.watch.after(block, optimizer)
        if block.numbers.stop == len(block.epoch):
            self._finish_training_epoch(output)

    def step(self, optimizer: torch.optim.Optimizer, epoch: Epoch, number: int) -> tuple[Any, Step | LossStep]:
        """Train on batch `number` of an epoch, which takes an optimiser step unless gradients are accumulated."""
        joined = self.recipe.joined(number, self.batches)
        if number == joined.start:
            step = self.steps_before + number // self.recipe.accumulate
            set_rates(optimizer, self.recipe.rate(step, self.steps))
        done = self.forward_pass(epoch, number)
        loss = total(done.losses)
        if number == self.batches - 1:
            with self.autocast():
                self.diagnostics = self.diagnostics_of(done)  # while there is a graph
        self._backward(loss, done.images, sum(map(epoch.size, joined)))
        if number == joined[-1]:
            self.optimize(optimizer)
        return done.output, self.step_of(done)

    def optimize(self, optimizer: torch.optim.Optimizer) -> None:
        """Take an optimiser step with the gradients that are there."""
        if self.recipe.clip_norm > 0:
            trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(trained, self.recipe.clip_norm)  # `net.parameters()` would walk through all layers
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()

    def _backward(self, loss: Tensor, mine: int, all_images: int) -> None:
        # the step's gradient is the mean over all its images; DDP averages over processes
        share = mine * self.world_size / all_images
        weighted = loss if share == 1 else loss * share
        if self.world_size == 1:
            weighted.backward()
            return
        # A raw backward would not prepare DDP's reducer: gradients would stay local, and ranks drift apart in silence.
        self.manual_backward(weighted)

    def _finish_training_epoch(self, output: Any) -> None:
        average_buffers((self.net, self.average), self.world_size)
        if self.watch is not None:
            self.watch.after_epoch()
        metrics = self.meter.read()
        require_images("training", metrics[IMAGES], self.loaders["train"].images)
        seconds = time.perf_counter() - self.epoch_started
        self.train_metrics = {**metrics, SECONDS: seconds, IMAGES_PER_SECOND: metrics[IMAGES] / seconds}
        own = {f"{ATTENTION_PREFIX}{name}": value.item() for name, value in self.diagnostics.items()}
        self.attention_statistics = self.statistics_of(output) | own

    # evaluation

    def evaluation_step(self, block: Block) -> None:
        """Count a block's images; in a test, collect their predictions too."""
        for number in block.numbers:
            images, targets = block.epoch.batch(number)
            if not len(targets):
                continue
            predictions = self.evaluate_batch(self.net, self.evaluation, images, targets)
            if self.average is not None and self.average_evaluation is not None:
                self.evaluate_batch(self.average.net, self.average_evaluation, images, targets)
            self.collect(block.epoch, number, predictions, targets)

    def validation_step(self, block: Block, index: int) -> None:
        self.evaluation_step(block)

    def test_step(self, block: Block, index: int) -> None:
        self.evaluation_step(block)

    def on_validation_epoch_end(self) -> None:
        self.validation_metrics = self._read_evaluation("validation")
        shown = {metric_name(VAL, name): value for name, value in self.validation_metrics.items() if value is not None}
        self.log_dict(shown, logger=False)  # what callbacks monitor

    def on_test_epoch_end(self) -> None:
        self.test_metrics = self._read_evaluation("test")

    def _read_evaluation(self, split: str) -> dict[str, float | None]:
        images = self.loaders[split].count
        metrics = self.evaluation.read(split, images)
        if self.watch is not None and (loss := metrics.get(LOSS)) is not None:
            self.watch.after_evaluation(split, loss)
        if self.average_evaluation is not None:
            averaged = self.average_evaluation.read(split, images)
            metrics |= {f"{AVERAGE}/{name}": value for name, value in averaged.items()}
        return metrics
