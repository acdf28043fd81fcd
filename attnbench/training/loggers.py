"""Loggers that a configuration can choose."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from attnbench.training.lightning_compat import event_file_writer


class RunLogger(TensorBoardLogger):
    """Write TensorBoard event files directly into the run's folder, so that TensorBoard names a run by its folder."""

    @property
    def log_dir(self) -> str:
        return self.save_dir or "."

    def save(self) -> None:
        """Write no hparams.yaml: the run's folder holds its configuration already."""

    def log_session(self, params: dict[str, Any], metrics: dict[str, float]) -> None:
        """Show the run in the HParams tab; its metrics are the scalars that the run logged.

        Only the session is written. With an experiment summary, which torch writes along with it, TensorBoard would
        show the first run's columns for all runs, and a sweep over another key would not appear.
        """
        _, start, end = hparams(params, metrics)
        writer = event_file_writer(self)
        writer.add_summary(start)
        writer.add_summary(end)


def tensorboard(save_dir: Path, purge_step: int | None = None) -> RunLogger:
    """Build the TensorBoard logger.

    Args:
        save_dir: the run's folder.
        purge_step: on a resume, the number of images seen from which on older points are dropped.
    """
    options: dict[str, Any] = {"max_queue": 1000, "flush_secs": 30}
    return RunLogger(str(save_dir), name="", version="", purge_step=purge_step, **options)


def log_result(loggers: list[Logger], params: dict[str, Any], metrics: dict[str, float], images: int) -> None:
    """Log a finished run's test metrics and hyperparameters."""
    for logger in loggers:
        logger.log_metrics(metrics, step=images)
        if isinstance(logger, RunLogger):
            logger.log_session(params, metrics)
        else:
            logger.log_hyperparams(params)
        logger.finalize("success")
