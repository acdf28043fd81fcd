"""Loggers that a configuration can name."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.utils.tensorboard.summary import hparams


class RunLogger(TensorBoardLogger):
    """TensorBoard event files right in the run's folder, so that a run is called after its folder there."""

    @property
    def log_dir(self) -> str:
        return self.save_dir or "."

    def save(self) -> None:
        """Write no hparams.yaml: the run's folder holds its configuration already."""

    def log_session(self, params: dict[str, Any], metrics: dict[str, float]) -> None:
        """Show the run in the HParams tab. Its metrics are the scalars that the run logged.

        Only the session is written. With an experiment summary, as torch writes along with it, TensorBoard would take
        the first run's columns for all runs, and a sweep over another key would not show.
        """
        _, start, end = hparams(params, metrics)
        writer = self.experiment._get_file_writer()
        writer.add_summary(start)
        writer.add_summary(end)


def tensorboard(save_dir: Path, purge_step: int | None = None) -> RunLogger:
    """Log to TensorBoard. purge_step: on a resume, images seen from which on older points are dropped."""
    options: dict[str, Any] = {"max_queue": 1000, "flush_secs": 30}
    return RunLogger(str(save_dir), name="", version="", purge_step=purge_step, **options)


def log_result(loggers: list[Logger], params: dict[str, Any], metrics: dict[str, float], images: int) -> None:
    """Log a finished run's test metrics and what it was trained with."""
    for logger in loggers:
        logger.log_metrics(metrics, step=images)
        if isinstance(logger, RunLogger):
            logger.log_session(params, metrics)
        else:
            logger.log_hyperparams(params)
        logger.finalize("success")
