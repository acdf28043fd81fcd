"""What a person sees while a run trains: a bar in a terminal, a line an epoch elsewhere."""

import sys
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from attnbench.training.module import Block, TrainingModule


class ProgressBar(Callback):
    """A bar over all images of the run, with the last epoch's metrics beside it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        epochs, images = trainer.max_epochs or 0, module.pipelines["train"].images
        if not trainer.is_global_zero or not self.console.is_terminal:
            return
        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("images · {task.fields[state]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=self.console, refresh_per_second=4, transient=True)
        done = trainer.current_epoch * images
        fields: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "epochs": epochs, "state": "first epoch"}
        self.task = self.bar.add_task("train", total=epochs * images, completed=done, **fields)
        self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Block, batch_idx: int
    ) -> None:
        if self.bar is not None:
            self.bar.advance(self.task, batch.images)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        epoch = trainer.current_epoch + 1
        state = summary(module)
        if self.bar is not None:
            following = min(epoch + 1, trainer.max_epochs or epoch)
            self.bar.update(self.task, epoch=following, state=state)
        elif trainer.is_global_zero:
            self.console.print(f"epoch {epoch}/{trainer.max_epochs}: {state}", highlight=False)
            sys.stdout.flush()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def summary(module: TrainingModule) -> str:
    """The last epoch in a few words."""
    train, validation = module.train_metrics, module.validation_metrics
    held_out = f" · val {validation['top1_accuracy']:.1%}" if validation else ""
    rate = f"{train['images_per_second']:,.0f} img/s"
    return f"loss {train['loss']:.3f} · train {train['top1_accuracy']:.1%}{held_out} · {rate}"
