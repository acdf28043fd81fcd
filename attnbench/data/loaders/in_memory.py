"""The device-resident pipeline: images stay on the training device as uint8 and are augmented there in batches.

Every epoch's order, crops and flips are drawn at its start from a generator of its own, on the CPU, so they depend on
seed and epoch alone: not on the device, on validation, or on how many batches are asked for at a time. Wrong labels
come from another generator, so that noise changes labels and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnbench.data.bases.dataset import Arrays, Augmentation
from attnbench.seeding import derive_seed

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W), normalised, and labels (B,) int64, on the device."""


@dataclass(frozen=True)
class Placement:
    """Where and how batches are made, and which share of each batch is this process's."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    rank: int = 0
    world: int = 1


class Loader(ABC):
    """A split as batches: what training asks of a pipeline.

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
        """Draw an epoch. Its order is the files' unless the pipeline has a seed."""


class Epoch(ABC):
    """One pass over a split: batches by number, or all in turn."""

    pipeline: Loader
    order: Tensor

    def __len__(self) -> int:
        return len(self.pipeline)

    def __iter__(self) -> Iterator[Batch]:
        return (self.batch(number) for number in range(len(self)))

    def size(self, number: int) -> int:
        """Images of a batch, over all processes."""
        return min(self.pipeline.batch_size, self.pipeline.count - number * self.pipeline.batch_size)

    @abstractmethod
    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""


class InMemoryLoader(Loader):
    """Batches of a split that lives on the device.

    arrays: the split. mean, std: per channel, for values in [0, 1]. batch_size: over all processes.
    seed, augmentation: for training; without a seed, images come in order and as they are.
    relabel: turns the true labels (N,) and an epoch's number into the labels that the epoch shows.
    """

    def __init__(
        self,
        arrays: Arrays,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        batch_size: int,
        placement: Placement,
        augmentation: Augmentation | None = None,
        seed: int | None = None,
        relabel: Callable[[Tensor, int], Tensor] | None = None,
    ) -> None:
        self.placement, self.batch_size, self.seed, self.relabel = placement, batch_size, seed, relabel
        self.augmentation = augmentation or Augmentation()
        self.count, self.height, self.width, self.channels = arrays.images.shape
        device = placement.device
        self.labels = torch.from_numpy(arrays.labels).to(device)
        self.pixels = torch.from_numpy(self._pad(arrays.images)).to(device).reshape(-1, self.channels)
        scale = torch.tensor(std, dtype=torch.float32)
        self.scale = (1 / (255 * scale)).to(device)
        self.shift = (-torch.tensor(mean, dtype=torch.float32) / scale).to(device)

    def _pad(self, images: np.ndarray) -> np.ndarray:
        pad = self.augmentation.padding
        mode = "reflect" if self.augmentation.padding_mode == "reflect" else "constant"
        padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=mode)  # type: ignore[call-overload]
        return np.ascontiguousarray(padded)

    def epoch(self, number: int = 0) -> "InMemoryEpoch":
        """Draw an epoch. Its order is the files' unless the pipeline has a seed."""
        labels = self.labels if self.relabel is None else self.relabel(self.labels, number)
        if self.seed is None:
            return InMemoryEpoch(self, labels, torch.arange(self.count), None, None)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", number))
        order = torch.randperm(self.count, generator=generator)
        positions = 2 * self.augmentation.padding + 1
        offsets = torch.randint(positions, (self.count, 2), generator=generator)
        flips = torch.rand(self.count, generator=generator) < 0.5
        return InMemoryEpoch(self, labels, order, offsets, flips if self.augmentation.flip else None)


class InMemoryEpoch(Epoch):
    """One pass over a split that lives on the device."""

    pipeline: InMemoryLoader

    def __init__(
        self, pipeline: InMemoryLoader, labels: Tensor, order: Tensor, offsets: Tensor | None, flips: Tensor | None
    ) -> None:
        device = pipeline.placement.device
        self.pipeline, self.labels = pipeline, labels
        self.order = order.to(device)
        self.offsets = None if offsets is None else offsets.to(device)
        self.flips = None if flips is None else flips.to(device)

    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
        pipeline, placement = self.pipeline, self.pipeline.placement
        start = number * pipeline.batch_size
        mine = slice(start + placement.rank, start + self.size(number), placement.world)
        chosen = self.order[mine]
        pixels = pipeline.pixels.index_select(0, self._positions(chosen, mine).reshape(-1))
        images = pixels.float().mul_(pipeline.scale).add_(pipeline.shift).to(placement.dtype)
        images = images.view(len(chosen), pipeline.height, pipeline.width, pipeline.channels).permute(0, 3, 1, 2)
        if not placement.channels_last:
            # contiguous() would keep the strides of one-channel images, which convolutions take for channels_last
            images = images.clone(memory_format=torch.contiguous_format)
        return images, self.labels[chosen]

    def _positions(self, chosen: Tensor, mine: slice) -> Tensor:
        """Rows of `pipeline.pixels` (B, H, W) that make up each chosen image's crop, mirrored where flipped."""
        pipeline = self.pipeline
        border = 2 * pipeline.augmentation.padding
        rows = torch.arange(pipeline.height, device=chosen.device).expand(len(chosen), -1)
        columns = torch.arange(pipeline.width, device=chosen.device).expand(len(chosen), -1)
        if self.flips is not None:
            columns = torch.where(self.flips[mine, None], columns.flip(1), columns)
        if self.offsets is not None:
            rows, columns = rows + self.offsets[mine, :1], columns + self.offsets[mine, 1:]
        lines = chosen[:, None] * (pipeline.height + border) + rows
        return lines[:, :, None] * (pipeline.width + border) + columns[:, None, :]
