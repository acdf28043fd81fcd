"""Loggers that a configuration can choose.

`metrics.jsonl` and `record.json` are written whatever the logger. Runs are named as their folders are. Keys of services
are never options, because configurations are recorded: each service reads its own from the environment.
"""

import csv as csv_files
import os
from pathlib import Path
from typing import Any

from filelock import FileLock
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from attnbench.errors import UserError
from attnbench.training.lightning_compat import event_file_writer

STEP = "step"


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


def csv(save_dir: Path, purge_step: int = 1) -> CSVLogger:
    """Build a logger that writes `metrics.csv` into the run's folder.

    Args:
        save_dir: the run's folder.
        purge_step: the number of images seen from which on rows of an earlier part of the run are dropped.
    """
    earlier = _rows_before(save_dir / "metrics.csv", purge_step)
    logger = CSVLogger(save_dir, name="", version="", flush_logs_every_n_steps=1)
    for row in earlier:  # Lightning begins the file again
        logger.experiment.log_metrics(row, int(row[STEP]))
    return logger


def _rows_before(path: Path, step: int) -> list[dict[str, Any]]:
    """Return the rows of a file up to a step, without their empty cells."""
    if step <= 1 or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [{name: value for name, value in row.items() if value} for row in csv_files.DictReader(stream)]
    return [row for row in rows if row.get(STEP, "").isdecimal() and int(row[STEP]) < step]


def mlflow(save_dir: Path, run_name: str, experiment: str, tracking_uri: str | None) -> Logger:
    """Build MLflow's logger.

    Args:
        save_dir: the run's folder.
        run_name: of the run.
        experiment: in which the run is.
        tracking_uri: address of a server; None for the one in the environment, or else a file in the output folder.

    Raises:
        UserError: nothing answers at the address, or it is of no kind that MLflow knows.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    from pytorch_lightning.loggers import MLFlowLogger

    address = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_output(save_dir) / 'mlflow.db'}"
    try:
        with FileLock(_output(save_dir) / "mlflow.lock"):  # runs of a sweep begin together
            client = MlflowClient(address)
            if client.get_experiment_by_name(experiment) is None:
                client.create_experiment(experiment)
    except MlflowException as error:
        raise UserError(f"logger=mlflow: {str(error).splitlines()[0]}") from error
    return MLFlowLogger(experiment, run_name, address)


def wandb(save_dir: Path, run_name: str, project: str, offline: bool) -> Logger:
    """Build the logger of Weights & Biases.

    Args:
        save_dir: the run's folder.
        run_name: of the run; runs that differ in their seed form a group.
        project: in which the run is.
        offline: whether files are written and nothing is sent.
    """
    from pytorch_lightning.loggers import WandbLogger

    group = run_name.partition("/")[0]
    return WandbLogger(name=run_name, save_dir=save_dir, project=project, offline=offline, group=group)


def aim(save_dir: Path, run_name: str, experiment: str) -> Logger:
    """Build Aim's logger.

    Args:
        save_dir: the run's folder.
        run_name: of the run.
        experiment: in which the run is.
    """
    from aim import Repo
    from aim.pytorch_lightning import AimLogger

    output = _output(save_dir)
    with FileLock(output / "aim.lock"):  # runs of a sweep begin together
        if not Repo.exists(str(output)):
            Repo.from_path(str(output), init=True)
    logger: Logger = AimLogger(
        repo=str(output),
        experiment=experiment,
        run_name=run_name,
        system_tracking_interval=None,
        log_system_params=False,  # they hold environment variables
        capture_terminal_logs=False,
        context_prefixes={"subset": {split: f"{split}/" for split in ("train", "val", "test")}},
    )
    return logger


def _output(run: Path) -> Path:
    """Return the output folder of a run's folder."""
    return run.parent.parent.parent


def log_result(loggers: list[Logger], params: dict[str, Any], metrics: dict[str, float], images: int) -> None:
    """Log a finished run's test metrics and hyperparameters."""
    for logger in loggers:
        logger.log_metrics(metrics, step=images)
        if isinstance(logger, RunLogger):
            logger.log_session(params, metrics)
        else:
            logger.log_hyperparams(params)
        logger.finalize("success")
