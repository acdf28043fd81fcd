"""A callback that shows what each process of a run ends with."""

from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from attnbench.training.lightning_module import TrainingModule


class SaveWeights(Callback):
    """Saves every rank's weights and the labels that it trained on."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.seen: list[int] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        epoch, numbers = batch.epoch, batch.numbers  # type: ignore[attr-defined]
        placement = epoch.loader.placement
        for number in numbers:
            start = number * epoch.loader.batch_size
            chosen = epoch.order[start + placement.rank : start + epoch.size(number) : placement.world]
            self.seen += chosen.tolist()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        net = cast(TrainingModule, pl_module).net
        torch.save({"seen": self.seen, **net.state_dict()}, self.folder / f"rank{trainer.global_rank}.pt")
