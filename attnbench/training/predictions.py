"""Predictions of a test, collected on the device, so that no batch waits for the host."""

from collections.abc import Sequence

import torch
from torch import Tensor

from attnbench.data.loaders.base import Epoch, Loader
from attnbench.runs.predictions import Predictions


class PredictionCollector:
    """Collect the predictions of one pass over a split.

    Each process fills in the images that are its own and leaves zeros for the others, so that the sum over processes
    holds all images, in the order of the split.

    Args:
        loader: the split's loader, without a seed.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader, device = loader, loader.placement.device
        self.classes = torch.zeros(2, loader.count, dtype=torch.int64, device=device)
        self.probabilities = torch.zeros(2, loader.count, device=device)

    @torch.no_grad()
    def add(self, epoch: Epoch, number: int, logits: Tensor, labels: Tensor) -> None:
        """Collect this process's share of a batch.

        Args:
            epoch: the pass.
            number: of the batch.
            logits: (B, L), or log-probabilities; a softmax normalises those that do not sum to one.
            labels: (B,).
        """
        mine = epoch.share(number)
        chosen = torch.stack([labels, logits.argmax(1)])
        self.classes[:, mine] = chosen
        self.probabilities[:, mine] = logits.softmax(1).gather(1, chosen.T).T

    def gather(self) -> None:
        """Add what the other processes collected."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self.classes)
            torch.distributed.all_reduce(self.probabilities)

    def read(self, classes: Sequence[str]) -> Predictions:
        """Return the predictions. Waits for the device.

        Args:
            classes: names of the classes, in the order of the labels.
        """
        label, predicted = self.classes.cpu().numpy()
        label_probability, probability = self.probabilities.cpu().numpy()
        return Predictions.make(classes, self.loader.indices(), label, predicted, probability, label_probability)
