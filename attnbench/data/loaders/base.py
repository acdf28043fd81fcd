"""What all loaders share: where batches are made, how many there are, and how an epoch yields them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W), normalised, and labels (B,) int64, on the device."""
Relabel = Callable[[Tensor, int], Tensor]
"""Turns the true labels (N,) and an epoch's number into the labels that the epoch is trained on."""


@dataclass(frozen=True)
class Placement:
    """Where and how batches are made, and which share of each batch is this process's."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    rank: int = 0
    world: int = 1


class Loader(ABC):
    """A split as batches: what training and evaluation iterate over.

    count: images. batch_size: over all processes. seed: draws order and augmentation; None to evaluate.
    skipped: images left out because they cannot be decoded.
    """

    count: int
    batch_size: int
    seed: int | None
    placement: Placement
    skipped = 0

    def __len__(self) -> int:
        """Batches an epoch. In training, a last batch with fewer than two images a process is left out."""
        full, rest = divmod(self.count, self.batch_size)
        if self.seed is not None and full and rest < 2 * self.placement.world:
            return full
        return full + bool(rest)

    @property
    def images(self) -> int:
        """Images an epoch, over all processes."""
        return min(self.count, len(self) * self.batch_size)

    @abstractmethod
    def epoch(self, number: int = 0) -> "Epoch":
        """Draw an epoch. Its order is the files' unless the loader has a seed."""


class Epoch(ABC):
    """One pass over a split: batches by number, or all in turn."""

    loader: Loader
    order: Tensor

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch(number) for number in range(len(self)))

    def size(self, number: int) -> int:
        """Images of a batch, over all processes."""
        return min(self.loader.batch_size, self.loader.count - number * self.loader.batch_size)

    @abstractmethod
    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
