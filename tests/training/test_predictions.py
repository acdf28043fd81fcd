"""Predictions are collected for each image once, over batches and processes, with probabilities that sum to one."""

import numpy as np
import pytest
import torch

from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.sources.arrays import Arrays
from attnbench.training.predictions import PredictionCollector

pytestmark = pytest.mark.smoke
CLASSES, COUNT = 4, 11
NAMES = ["ant", "bee", "cat", "dog"]


def loader(rank: int = 0, world: int = 1) -> InMemoryLoader:
    """Eleven images of one pixel in batches of four, whose value is their index."""
    arrays = Arrays(np.arange(COUNT, dtype=np.uint8).reshape(-1, 1, 1, 1), np.arange(COUNT) % CLASSES)
    return InMemoryLoader(arrays, (0.0,), (1 / 255,), 4, Placement(torch.device("cpu"), rank=rank, world=world))


def collected(logits: torch.Tensor, rank: int = 0, world: int = 1) -> PredictionCollector:
    """A pass of one process over all batches. logits: (N, L) of all images."""
    made = loader(rank, world)
    collector, epoch = PredictionCollector(made), made.epoch()
    for number in range(len(epoch)):
        images, labels = epoch.batch(number)
        collector.add(epoch, number, logits[images.flatten().long()], labels)
    return collector


def test_each_image_is_in_its_place() -> None:
    logits = torch.randn(COUNT, CLASSES)
    found = collected(logits).read(NAMES)
    labels = torch.arange(COUNT) % CLASSES
    assert found.index.tolist() == list(range(COUNT))
    assert found.label.tolist() == labels.tolist()
    assert found.predicted.tolist() == logits.argmax(1).tolist()
    probabilities = logits.softmax(1)
    assert found.probability == pytest.approx(probabilities.amax(1), abs=1e-3)
    assert found.label_probability == pytest.approx(probabilities[range(COUNT), labels], abs=1e-3)


def test_the_shares_of_processes_add_up() -> None:
    logits = torch.randn(COUNT, CLASSES)
    whole, *shares = collected(logits), *(collected(logits, rank, 3) for rank in range(3))
    assert torch.equal(torch.stack([share.classes for share in shares]).sum(0), whole.classes)
    assert torch.equal(torch.stack([share.probabilities for share in shares]).sum(0), whole.probabilities)


def test_scores_that_are_no_probabilities_are_normalised() -> None:
    """A mixture of log-probabilities, as released for gated attention, sums to less than one over the classes."""
    scores = 0.5 * torch.randn(COUNT, 2, CLASSES).log_softmax(2).sum(1)
    assert scores.exp().sum(1).max() < 1
    found = collected(scores).read(NAMES)
    expected = scores.exp() / scores.exp().sum(1, keepdim=True)
    assert found.probability == pytest.approx(expected.amax(1), abs=1e-3)
