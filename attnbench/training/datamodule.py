"""The data of a run, as Lightning takes it: loaders of its splits, and epochs as blocks of batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.base import Epoch, Loader, Placement
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.splits import SPLITS, Split
from attnbench.data.transforms.policies import PolicyOptions
from attnbench.training.distributed import World
from attnbench.training.hardware import Hardware


class Block:
    """A few consecutive batches of an epoch, each made when it is asked for."""

    def __init__(self, epoch: Epoch, start: int, stop: int) -> None:
        self.epoch = epoch
        self.numbers = range(start, stop)

    @property
    def images(self) -> int:
        """Images in the block, over all processes."""
        return sum(self.epoch.size(number) for number in self.numbers)


class Blocks:
    """An epoch as a sized iterable of blocks: what Lightning takes for a data loader."""

    def __init__(self, epoch: Epoch, length: int) -> None:
        self.epoch, self.length = epoch, length

    def __len__(self) -> int:
        return math.ceil(len(self.epoch) / self.length)

    def __iter__(self) -> Iterator[Block]:
        for start in range(0, len(self.epoch), self.length):
            yield Block(self.epoch, start, min(start + self.length, len(self.epoch)))


class RunData(pl.LightningDataModule):
    """The loaders of a run's splits on its device; `close` ends the worker processes behind them.

    Args:
        data: the data set.
        hardware: where batches are made, and how many of them form a block.
        seed: draws order, augmentation and label noise of training images.
        splits: the splits to load; those that hold no image are left out.
        world: this process's place among those of a run on several devices.
        policy: the augmentation policy of training images.
        make_loaders: builds what makes the splits' loaders.
    """

    def __init__(
        self,
        data: DataSet,
        hardware: Hardware,
        seed: int,
        splits: Sequence[Split] = SPLITS,
        world: World | None = None,
        policy: PolicyOptions | None = None,
        make_loaders: Callable[[DataSet, Placement], LoaderFactory] = LoaderFactory,
    ) -> None:
        super().__init__()
        self.data, self.hardware = data, hardware
        self.placement = placement_on(hardware, world or World())
        self._factory = make_loaders(data, self.placement)
        wanted = [split for split in data.splits if split in splits]
        try:
            self.loaders: dict[str, Loader] = {
                split: self._factory.make(split, seed if split == "train" else None, policy) for split in wanted
            }
        except BaseException:
            self.close()
            raise

    def train_dataloader(self) -> Blocks:
        """Return the current epoch of training images."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        return Blocks(self.loaders["train"].epoch(epoch), self.hardware.block_length)

    def val_dataloader(self) -> Blocks | list[Any]:
        """Return the validation images; none if no image is held out."""
        return self._in_order("validation")

    def test_dataloader(self) -> Blocks | list[Any]:
        """Return the test images."""
        return self._in_order("test")

    def _in_order(self, split: Split) -> Blocks | list[Any]:
        if split not in self.loaders:
            return []
        return Blocks(self.loaders[split].epoch(), self.hardware.block_length)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return a block as it is: its batches are made on the device."""
        return batch

    def close(self) -> None:
        """End the worker processes."""
        self._factory.close()


def placement_on(hardware: Hardware, world: World) -> Placement:
    """Return where and how this process makes batches, and which share of each is its own."""
    index = world.local_rank if hardware.accelerator == "gpu" else None
    return Placement(
        device=torch.device(hardware.device_type) if index is None else torch.device(hardware.device_type, index),
        dtype=torch.bfloat16 if hardware.precision == "bf16" else torch.float32,
        channels_last=hardware.channels_last,
        rank=world.rank,
        world=world.size,
    )
