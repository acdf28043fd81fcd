"""Work between epochs: write metrics, report progress, and check that this process still owns the run."""

import math
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from attnbench.runs.epoch_rows import EpochRow, append_row
from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock
from attnbench.runs.metric_names import (
    EPOCH,
    IMAGES,
    IMAGES_PER_SECOND,
    LEARNING_RATE,
    MONITOR,
    TRAIN,
    TRAIN_LOSS,
    VAL,
    metric_name,
)
from attnbench.runs.record_parts import Metrics
from attnbench.training.lightning_module import TrainingModule


class TrainingError(RuntimeError):
    """Training cannot continue; the message says why and what may help."""


class EpochLog(Callback):
    """Write one row an epoch to `metrics.jsonl`, the same scalars to the loggers, and progress to the lock.

    Scalars are logged against images seen, so that neither batch size nor block length moves a curve.
    """

    def __init__(self, run: RunFolder, lock: Lock | None, rows: list[EpochRow]) -> None:
        self.run, self.lock, self.rows = run, lock, rows

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        row = epoch_row(module, trainer.current_epoch + 1, self.rows)
        if not math.isfinite(row.train_loss):
            raise TrainingError(
                f"the training loss is {row.train_loss} after epoch {row.epoch}; a lower recipe.lr, "
                "recipe.clip_norm or a longer recipe.warmup may help"
            )
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        if self.lock is not None and self.lock.lost:
            raise TrainingError("another process took this run over, as this one had no heartbeat for a minute")
        append_row(self.run.metrics_file, row)
        scalars = {name: value for name, value in row.metrics.items() if value is not None}
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step=row.images)
        if self.lock is not None:
            reported = {name: row.metrics.get(name) for name in (TRAIN_LOSS, MONITOR, IMAGES_PER_SECOND)}
            self.lock.report(**{EPOCH: row.epoch}, **reported)


def epoch_row(module: TrainingModule, epoch: int, earlier: list[EpochRow]) -> EpochRow:
    """Return one epoch's metrics."""
    train, last_step = module.train_metrics, module.steps_before + module.batches - 1
    seen = earlier[-1].images if earlier else 0
    names = [name for name in train if name not in (IMAGES, IMAGES_PER_SECOND)]
    metrics: Metrics = {metric_name(TRAIN, name): train[name] for name in names}
    metrics |= {metric_name(VAL, name): value for name, value in module.validation_metrics.items()}
    metrics[LEARNING_RATE] = module.recipe.lr * module.recipe.rate(last_step, module.batches)
    metrics[IMAGES_PER_SECOND] = train[IMAGES_PER_SECOND]
    return EpochRow(epoch=epoch, images=seen + train[IMAGES], metrics={**metrics, **module.attention_statistics})


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
