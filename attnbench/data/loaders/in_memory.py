"""Batches of a split that is kept on the training device as uint8 and augmented there.

Every epoch draws its order, crops and flips at its start from its own generator on the CPU. They depend on seed and
epoch only: not on the device, on validation, or on how many batches are requested at a time. Label noise has another
generator, so that it changes labels and nothing else.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from attnbench.data.loaders.base import Batch, Epoch, Loader, Placement, Relabel
from attnbench.data.sources.arrays import Arrays
from attnbench.data.transforms.augmentation import Augmentation
from attnbench.data.transforms.normalisation import scale_and_shift
from attnbench.data.transforms.policies import PolicyOptions
from attnbench.seeding import derive_seed

if TYPE_CHECKING:
    from attnbench.data.transforms.policy_operations import Policy


class InMemoryLoader(Loader):
    """Batches of a split that is kept on the device.

    Args:
        arrays: the split.
        mean: mean of each channel, for values in [0, 1].
        std: standard deviation of each channel, likewise.
        batch_size: images in a batch, over all processes.
        placement: where batches are made.
        augmentation: random changes to training images.
        seed: draws order and augmentation; without it, images come in order and unchanged.
        relabel: changes the labels of each epoch.
        policy: the augmentation policy of training images.
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
        relabel: Relabel | None = None,
        policy: PolicyOptions | None = None,
    ) -> None:
        self.placement, self.batch_size, self.seed, self.relabel = placement, batch_size, seed, relabel
        self.policy = policy
        self.augmentation = augmentation or Augmentation()
        self.count, self.height, self.width, self.channels = arrays.images.shape
        device = placement.device
        self.labels = torch.from_numpy(arrays.labels).to(device)
        self.pixels = torch.from_numpy(self._pad(arrays.images)).to(device).reshape(-1, self.channels)
        self.scale, self.shift = (values.to(device) for values in scale_and_shift(mean, std))

    def _pad(self, images: np.ndarray) -> np.ndarray:
        pad = self.augmentation.padding
        mode = "reflect" if self.augmentation.padding_mode == "reflect" else "constant"
        padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=mode)  # type: ignore[call-overload]
        return np.ascontiguousarray(padded)

    def epoch(self, number: int = 0) -> "InMemoryEpoch":
        """Draw an epoch. Without a seed, images come in the order of the files."""
        labels = self.labels if self.relabel is None else self.relabel(self.labels, number)
        if self.seed is None:
            return InMemoryEpoch(self, labels, torch.arange(self.count), None, None, None)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", number))
        order = torch.randperm(self.count, generator=generator)
        positions = 2 * self.augmentation.padding + 1
        offsets = torch.randint(positions, (self.count, 2), generator=generator)
        flips = torch.rand(self.count, generator=generator) < 0.5
        flips_used = flips if self.augmentation.flip else None
        return InMemoryEpoch(self, labels, order, offsets, flips_used, self.draw_policy(number))


class InMemoryEpoch(Epoch):
    """One pass over a split that is kept on the device."""

    loader: InMemoryLoader

    def __init__(
        self,
        loader: InMemoryLoader,
        labels: Tensor,
        order: Tensor,
        offsets: Tensor | None,
        flips: Tensor | None,
        policy: "Policy | None",
    ) -> None:
        device = loader.placement.device
        self.loader, self.labels, self.policy = loader, labels, policy
        self.order = order.to(device)
        self.offsets = None if offsets is None else offsets.to(device)
        self.flips = None if flips is None else flips.to(device)

    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
        loader, placement, mine = self.loader, self.loader.placement, self.share(number)
        chosen = self.order[mine]
        pixels = loader.pixels.index_select(0, self._positions(chosen, mine).reshape(-1))
        shape = (len(chosen), loader.height, loader.width, loader.channels)
        if self.policy is not None:
            pixels = self.policy(pixels.view(shape).permute(0, 3, 1, 2), mine).permute(0, 2, 3, 1).contiguous()
        images = pixels.float().mul_(loader.scale).add_(loader.shift).to(placement.dtype)
        images = images.view(shape).permute(0, 3, 1, 2)
        if not placement.channels_last:
            # contiguous() would keep the strides of one-channel images, which convolutions treat as channels_last
            images = images.clone(memory_format=torch.contiguous_format)
        return images, self.labels[chosen]

    def _positions(self, chosen: Tensor, mine: slice) -> Tensor:
        """Return the rows of `loader.pixels` (B, H, W) that form the crop of each chosen image, flips included."""
        loader = self.loader
        border = 2 * loader.augmentation.padding
        rows = torch.arange(loader.height, device=chosen.device).expand(len(chosen), -1)
        columns = torch.arange(loader.width, device=chosen.device).expand(len(chosen), -1)
        if self.flips is not None:
            columns = torch.where(self.flips[mine, None], columns.flip(1), columns)
        if self.offsets is not None:
            rows, columns = rows + self.offsets[mine, :1], columns + self.offsets[mine, 1:]
        lines = chosen[:, None] * (loader.height + border) + rows
        return lines[:, :, None] * (loader.width + border) + columns[:, None, :]
