"""Base classes of loaders and epochs, and the placement of batches on devices."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.transforms.policies import PolicyOptions
from attnbench.seeding import derive_seed

if TYPE_CHECKING:
    from attnbench.data.transforms.policy_operations import Policy

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W), normalised, and labels (B,) int64, on the device."""
Relabel = Callable[[Tensor, int], Tensor]
"""Turns the true labels (N,) and an epoch's number into the labels that the epoch is trained on."""


@dataclass(frozen=True)
class Placement:
    """Device and format of batches, and the share of each batch that this process makes.

    Attributes:
        device: where images are.
        dtype: of the images.
        channels_last: whether images have this memory format.
        rank: index of this process.
        world: number of processes.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    rank: int = 0
    world: int = 1


class Loader(ABC):
    """A split in batches.

    Attributes:
        count: number of images.
        height: of a batch's images, in pixels.
        width: likewise.
        batch_size: images in a batch, over all processes.
        seed: draws order and augmentation in training; None for evaluation.
        placement: where batches are made.
        policy: the augmentation policy of training images; None without one.
        skipped: number of images left out because they cannot be decoded.
    """

    count: int
    height: int
    width: int
    batch_size: int
    seed: int | None
    placement: Placement
    policy: PolicyOptions | None = None
    skipped = 0

    def __len__(self) -> int:
        """Return the number of batches. In training, a last batch of fewer than two images per process is left out."""
        full, rest = divmod(self.count, self.batch_size)
        if self.seed is not None and full and rest < 2 * self.placement.world:
            return full
        return full + bool(rest)

    @property
    def images(self) -> int:
        """Number of images in an epoch, over all processes."""
        return min(self.count, len(self) * self.batch_size)

    def indices(self) -> NDArray[np.int64]:
        """Return the index (N,) of each image in the split as the data set has it; images left out leave gaps."""
        return np.arange(self.count)

    def draw_policy(self, number: int) -> "Policy | None":
        """Draw the augmentation policy's changes of an epoch's images; None without a policy, or a seed."""
        if self.policy is None or self.policy.policy == "none" or self.seed is None:
            return None
        from attnbench.data.transforms.policy_operations import Policy  # imports torchvision

        return Policy(self.policy, self.count, self.height, self.width, derive_seed(self.seed, "policy", number))

    @abstractmethod
    def epoch(self, number: int = 0) -> "Epoch":
        """Draw an epoch. Without a seed, images come in the order of the files."""


class Epoch(ABC):
    """One pass over a split: batches by number, or one after another.

    Attributes:
        loader: the loader that drew it.
        order: (N,), index of each image in the split.
    """

    loader: Loader
    order: Tensor

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch(number) for number in range(len(self)))

    def size(self, number: int) -> int:
        """Return the number of images in a batch, over all processes."""
        return min(self.loader.batch_size, self.loader.count - number * self.loader.batch_size)

    def share(self, number: int) -> slice:
        """Return the positions in the epoch of this process's share of a batch."""
        start, placement = number * self.loader.batch_size, self.loader.placement
        return slice(start + placement.rank, start + self.size(number), placement.world)

    @abstractmethod
    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
