"""Work between epochs: write metrics, report progress, and check that this process still owns the run."""

from typing import cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from attnbench.runs.epoch_rows import EpochRow, append_row
from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock
from attnbench.runs.metric_names import (
    EPOCH,
    IMAGES,
    IMAGES_PER_SECOND,
    LEARNING_RATE,
    TRAIN,
    TRAIN_LOSS,
    VAL,
    main_metric,
    metric_name,
)
from attnbench.runs.record_parts import Metrics
from attnbench.training.checkpoints import damaged_checkpoint
from attnbench.training.failures import TrainingError
from attnbench.training.lightning_module import TrainingModule


class EpochLog(Callback):
    """Write one row an epoch to `metrics.jsonl`, the same scalars to the loggers, and progress to the lock.

    Scalars are logged against images seen, so that neither batch size nor block length moves a curve.
    """

    def __init__(self, run: RunFolder, lock: Lock | None, rows: list[EpochRow]) -> None:
        self.run, self.lock, self.rows = run, lock, rows

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch != len(self.rows):
            reason = (
                f"its training goes on after epoch {trainer.current_epoch}, and its metrics are of {len(self.rows)}"
            )
            raise damaged_checkpoint(self.run.last_checkpoint, reason)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        row = epoch_row(module, trainer.current_epoch + 1, self.rows)
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
            monitored = metric_name(VAL, main_metric(row.metrics))
            reported = {name: row.metrics.get(name) for name in (TRAIN_LOSS, monitored, IMAGES_PER_SECOND)}
            self.lock.report(**{EPOCH: row.epoch}, **reported)


def epoch_row(module: TrainingModule, epoch: int, earlier: list[EpochRow]) -> EpochRow:
    """Return one epoch's metrics."""
    train, last_step = module.train_metrics, module.steps_before + module.steps - 1
    seen = earlier[-1].images if earlier else 0
    names = [name for name in train if name not in (IMAGES, IMAGES_PER_SECOND)]
    metrics: Metrics = {metric_name(TRAIN, name): train[name] for name in names}
    metrics |= {metric_name(VAL, name): value for name, value in module.validation_metrics.items()}
    metrics[LEARNING_RATE] = module.recipe.lr * module.recipe.rate(last_step, module.steps)
    metrics[IMAGES_PER_SECOND] = train[IMAGES_PER_SECOND]
    return EpochRow(epoch=epoch, images=seen + train[IMAGES], metrics={**metrics, **module.attention_statistics})
