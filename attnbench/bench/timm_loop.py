"""Training from a folder of images as timm's training script does it, in turns with `attnbench train`.

timm's package holds what its script `train.py` is made of, and not the script. Its loop is built here of the same parts
(`create_dataset`, `create_loader`, `create_optimizer_v2`, `create_scheduler_v2`) and does in a step what the script
does: it reads the loss, and sets the learning rate. Its options are those of the command line: by default single
precision, and bfloat16 in channels_last with `--amp --amp-dtype bfloat16 --channels-last`.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from timm import create_model
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter
from torch import nn

from attnbench.bench.loops import Loop, Rivals
from attnbench.data.loaders.streaming import StreamingLoader
from attnbench.training.lightning_module import TrainingModule

EPOCHS = 100
"""Length of the schedule, which does not change the speed."""


class TimmRivals(Rivals):
    """Run an epoch of timm's loop after every epoch; see `Rivals`.

    Args:
        folder: of class folders with images.
        model: timm's name of the network.
        workers: that read images.
        file: the JSON file to write.
    """

    def __init__(self, folder: str, model: str, workers: int, file: str) -> None:
        super().__init__(usual=False, file=file)
        self.folder, self.model, self.workers = folder, model, workers

    def loops_of(self, module: TrainingModule) -> dict[str, Loop]:
        half = partial(torch.autocast, module.device.type, torch.bfloat16)
        return {
            "timm": self._loop(module, torch.contiguous_format, nullcontext),
            "timm, bf16": self._loop(module, torch.channels_last, half),
        }

    def _loop(
        self, module: TrainingModule, layout: torch.memory_format, precision: Callable[[], AbstractContextManager[Any]]
    ) -> Loop:
        loader, recipe, device = cast(StreamingLoader, module.loaders["train"]), module.recipe, module.device
        net = create_model(self.model, num_classes=module.classes).to(device).to(memory_format=layout)
        optimizer = create_optimizer_v2(net, "sgd", recipe.lr, recipe.weight_decay, recipe.momentum)
        batches = create_loader(
            create_dataset("", self.folder, is_training=True),
            (3, loader.height, loader.width),
            loader.batch_size,
            is_training=True,
            color_jitter=0.0,
            interpolation="bilinear",
            num_workers=self.workers,
            device=device,
        )
        schedule, _ = create_scheduler_v2(optimizer, num_epochs=EPOCHS, updates_per_epoch=len(batches))
        return partial(run_epoch, net, optimizer, batches, schedule, layout, precision)


def run_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Any,
    schedule: Any,
    layout: torch.memory_format,
    precision: Callable[[], AbstractContextManager[Any]],
    number: int,
) -> float:
    """Train for the epoch with a number as timm's script does, and return the seconds."""
    started, losses = time.perf_counter(), AverageMeter()
    net.train()
    for step, (images, labels) in enumerate(batches):
        with precision():
            loss = nn.functional.cross_entropy(net(images.contiguous(memory_format=layout)), labels)
        losses.update(loss.item(), len(images))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step_update(num_updates=number * len(batches) + step + 1, metric=losses.avg)
    schedule.step(number + 1)
    if next(net.parameters()).is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started
