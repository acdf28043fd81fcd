"""What happens between epochs: metrics are written, progress is reported, and ownership of the run is checked."""

import json
import math
import os
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock
from attnbench.runs.record import MONITOR
from attnbench.training.lightning_module import TrainingModule


class TrainingError(RuntimeError):
    """Training cannot continue; the message says why and what may help."""


class EpochLog(Callback):
    """Write one row an epoch to `metrics.jsonl`, the same scalars to the loggers, and progress to the lock.

    Scalars are logged against images seen, so that neither batch size nor block length moves a curve.
    """

    def __init__(self, run: RunFolder, lock: Lock | None, rows: list[dict[str, Any]]) -> None:
        self.run, self.lock, self.rows = run, lock, rows

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        row = epoch_row(module, trainer.current_epoch + 1, self.rows)
        if not math.isfinite(row["train/loss"]):
            raise TrainingError(
                f"the training loss is {row['train/loss']} after epoch {row['epoch']}; a lower recipe.lr, "
                "recipe.clip_norm or a longer recipe.warmup may help"
            )
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        if self.lock is not None and self.lock.lost:
            raise TrainingError("another process took this run over, as this one had no heartbeat for a minute")
        with self.run.metrics_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        scalars = {key: value for key, value in row.items() if value is not None and key not in ("epoch", "images")}
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step=row["images"])
        if self.lock is not None:
            shown = {key: row.get(key) for key in ("epoch", "train/loss", MONITOR, "images_per_second")}
            self.lock.report(**shown)


def epoch_row(module: TrainingModule, epoch: int, earlier: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one epoch's metrics, flat; `images` counts those seen since the start of training."""
    train, last_step = module.train_metrics, module.steps_before + module.batches - 1
    seen = earlier[-1]["images"] if earlier else 0
    row: dict[str, Any] = {"epoch": epoch, "images": seen + train["images"]}
    names = [name for name in train if name not in ("images", "images_per_second")]
    row |= {f"train/{name}": train[name] for name in names}
    row |= {f"val/{name}": value for name, value in module.validation_metrics.items()}
    row |= {"lr": module.recipe.lr * module.recipe.rate(last_step, module.batches)}
    row |= {"images_per_second": train["images_per_second"]}
    return {**row, **module.attention_statistics}


def checkpoints(run: RunFolder, validated: bool) -> list[Callback]:
    """Return the callbacks that write `best`, if images are held out, and then `last`, after every epoch.

    There are two because one with `save_last` and a monitor writes `last` only when the monitored value improves.
    `last` comes second: a crash between them costs an epoch, but never leaves `best` behind `last`.
    """
    folder = run.last_checkpoint.parent
    common: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False, "save_on_train_epoch_end": True}
    saved: list[Callback] = []
    if validated:
        best: dict[str, Any] = {
            "filename": run.best_checkpoint.stem,
            "monitor": MONITOR,
            "mode": "max",
            "save_weights_only": True,
        }
        saved.append(ModelCheckpoint(**best, **common))
    return [*saved, ModelCheckpoint(filename=run.last_checkpoint.stem, save_top_k=1, **common)]
