"""Accuracy and loss of a network over a split, counted on the device and summed over all processes."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection, SumMetric
from torchmetrics.classification import MulticlassAccuracy

from attnbench.runs.metric_names import LOSS, TOP1, TOP5
from attnbench.training.metrics import TOP, require_images


class SplitMeter(nn.Module, ABC):
    """Counts the images of an evaluation, batch by batch, over all processes."""

    @abstractmethod
    def read(self, split: str, images: int) -> dict[str, float | None]:
        """Return the metrics by name, and begin again. Waits for the device.

        Args:
            split: what was evaluated.
            images: how many there are. Raises `ImageCountError` unless as many were counted.
        """


class EvaluationMeter(SplitMeter):
    """Counts an evaluation batch by batch.

    Args:
        classes: L.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, top = classes, min(TOP, classes)
        self.accuracies = MetricCollection(
            {
                TOP1: MulticlassAccuracy(classes, average="micro", validate_args=False),
                TOP5: MulticlassAccuracy(classes, top_k=top, average="micro", validate_args=False),
            },
            compute_groups=False,
        )
        # a sum: torchmetrics 1.9's mean forgets the weights when it is to let NaN through
        self.loss = SumMetric(nan_strategy="disable")
        self.images = SumMetric(nan_strategy="disable").set_dtype(torch.float64)

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Count a batch: logits (B, L), labels (B,) and the mean loss."""
        self.accuracies.update(logits, labels)
        self.loss.update(loss * len(labels))
        self.images.update(len(labels))

    def read(self, split: str, images: int) -> dict[str, float | None]:
        """Return accuracies as fractions and the mean loss, and begin again. Waits for the device."""
        require_images(split, round(self.images.compute().item()), images)
        metrics: dict[str, float | None] = {}
        for name, value in self.accuracies.compute().items():
            metrics[name] = round(value.item() * images) / images  # torchmetrics divides in single precision
        if self.classes <= TOP:
            metrics[TOP5] = None
        metrics[LOSS] = self.loss.compute().item() / images
        for part in (self.accuracies, self.loss, self.images):
            part.reset()
        return metrics
