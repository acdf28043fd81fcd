"""Train and evaluate classifiers: cross-entropy or an attention's own losses, accuracies, predictions."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from attnbench.attention.base import Output
from attnbench.classifier import Classifier
from attnbench.data.loaders.base import Epoch
from attnbench.runs.predictions import Predictions
from attnbench.training.batch_changes import BatchChanges
from attnbench.training.evaluation_meter import EvaluationMeter
from attnbench.training.gate_statistics import gate_statistics
from attnbench.training.lightning_module import ForwardPass, TrainingModule
from attnbench.training.losses import training_losses
from attnbench.training.metrics import Meter, Step
from attnbench.training.predictions import PredictionCollector


class ClassificationModule(TrainingModule):
    """Train and evaluate a classifier; after a test, `test_predictions` holds its predictions."""

    net: Classifier
    evaluation: EvaluationMeter
    collector: PredictionCollector | None = None
    test_predictions: PredictionCollector | None = None

    # training

    def make_meter(self) -> Meter:
        return Meter(self.device, self.batches, self.classes)

    def begin_epoch(self, number: int) -> None:
        super().begin_epoch(number)
        self.changes = BatchChanges(self.recipe, self.loaders["train"], self.classes, self.run_seed, number)

    def forward_pass(self, epoch: Epoch, number: int) -> ForwardPass:
        batch = self.changes(*epoch.batch(number), epoch.share(number))
        with self.autocast():
            output = self.net.output(batch.images)
            losses = training_losses(self.net, output, batch.targets, self.recipe)
        return ForwardPass(output, losses, batch.labels, len(batch.labels))

    def step_of(self, done: ForwardPass) -> Step:
        terms = {name: value.detach() for name, value in done.losses.items()}
        return Step(terms, done.output.logits.detach(), done.target)

    def diagnostics_of(self, done: ForwardPass) -> dict[str, Tensor]:
        return self.net.attention.diagnostics(done.output, done.target)

    def statistics_of(self, output: Output) -> dict[str, float]:
        return gate_statistics(self.net, output)

    # evaluation

    def make_evaluation(self) -> EvaluationMeter:
        return EvaluationMeter(self.classes)

    def evaluate_batch(self, net: Any, meter: Any, images: Tensor, targets: Tensor) -> Tensor:
        """Count a batch for a network, and return the logits (B, L)."""
        with self.autocast():
            output = net.output(images)
            loss = net.attention.evaluation_loss(output, targets)
        logits: Tensor = output.logits.float()
        meter.add(logits, targets, loss)
        return logits

    def on_test_epoch_start(self) -> None:
        self.collector = PredictionCollector(self.loaders["test"])

    def collect(self, epoch: Epoch, number: int, predictions: Tensor, targets: Tensor) -> None:
        if self.collector is not None:
            self.collector.add(epoch, number, predictions, targets)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        assert self.collector is not None
        self.collector.gather()
        self.test_predictions, self.collector = self.collector, None

    def predictions(self, classes: Sequence[str]) -> Predictions | None:
        return None if self.test_predictions is None else self.test_predictions.read(classes)
