"""Write the checkpoints of a run after every epoch: `last`, and `best` where images are held out."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from attnbench.runs.epoch_rows import EpochRow, best_row
from attnbench.runs.folder import Job, RunFolder


class SaveCheckpoints(Checkpoint):
    """Write `last` after every epoch, and then `best` if the epoch is the best so far.

    In this order a crash between the two loses nothing: the weights of the best epoch are then in `last`.

    `last` also says whose checkpoint it is, and holds the metrics of the epochs before it. So a resumed run finds out
    whether `metrics.jsonl` or the checkpoint was damaged or exchanged, and can restore the metrics. It holds no path:
    a run resumes wherever its folder is.

    Args:
        job: the run.
        rows: the metrics of the run's epochs, which another callback adds to.
    """

    def __init__(self, job: Job, rows: Sequence[EpochRow]) -> None:
        self.job, self.run, self.rows = job, RunFolder(job.folder), rows
        self.optimised, self.stopped = 0, False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.optimised = len(trainer.optimizers[0].state)
        self.stopped = trainer.should_stop  # by early stopping, which Lightning calls before
        trainer.save_checkpoint(self.run.last_checkpoint, weights_only=False)
        if best_row(self.rows) is self.rows[-1]:
            trainer.save_checkpoint(self.run.best_checkpoint, weights_only=True)

    def state_dict(self) -> dict[str, Any]:
        return {
            "identity": self.job.identity,
            "seed": self.job.seed,
            "rows": [row.to_json() for row in self.rows],
            "optimised": self.optimised,
            "stopped": self.stopped,
        }
