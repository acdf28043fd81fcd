"""The parts of attnbench train that Hydra does itself: completion, its own help, and other sweepers than ours."""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from attnbench.cli.output import print_message
from attnbench.config.compose import compose
from attnbench.config.hydra_compat import run_hydra_command
from attnbench.config.search_path import PRIMARY, installed, search_path, shipped
from attnbench.errors import NotInstalledError, UserError
from attnbench.exit_codes import DONE, FAILED, WRONG_INPUT
from attnbench.runs.files import readable
from attnbench.runs.folder import RunFolder
from attnbench.runs.metric_names import VAL
from attnbench.runs.record import FinishedRecord


def hand_over(arguments: argparse.Namespace) -> int:
    """Let Hydra act on the command line and return the exit status.

    Jobs of other sweepers come back through attnbench's launcher.
    """
    _require_sweeper(arguments.overrides)
    try:
        run_hydra_command(_words(arguments), train_once, str(shipped()), arguments.config_name or PRIMARY)
    except SystemExit as ended:
        return int(ended.code or DONE)
    return DONE


def _require_sweeper(overrides: Sequence[str]) -> None:
    """Raise `NotInstalledError` if Optuna's sweeper is chosen but absent, in one line instead of Hydra's six."""
    chosen = any(word.lstrip("+") == "hydra/sweeper=optuna" for word in overrides)
    if chosen and find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
        raise NotInstalledError(
            "hydra/sweeper=optuna: Hydra's plugin is not installed: pip install optuna, then pip install --no-deps"
            " hydra-optuna-sweeper; or use attnbench tune, which needs no plugin"
        )


def _words(arguments: argparse.Namespace) -> list[str]:
    """Return the command line for Hydra, with the added config folders in its search path."""
    flags = {
        "--multirun": arguments.multirun,
        "--resolve": arguments.resolve,
        "--hydra-help": arguments.hydra_help,
        "--shell-completion": arguments.shell_completion,
    }
    words = [flag for flag, wanted in flags.items() if wanted]
    words += ["--info", arguments.info] if arguments.info else []
    words += ["--cfg", arguments.cfg] if arguments.cfg else []
    words += ["--package", arguments.package] if arguments.package else []
    if arguments.config_dir:
        search_path(arguments.config_dir)  # raises UserError if there is no such folder
        words += ["--config-dir", arguments.config_dir]
    paths = ",".join(f"'file://{folder}'" for folder in installed())
    return [*words, *arguments.overrides, *([f"hydra.searchpath=[{paths}]"] if paths else [])]


def train_once(config: DictConfig) -> float | None:
    """Train one job of another launcher (such as submitit), in whatever process that starts.

    Args:
        config: as Hydra composed it, unchecked. It is not used: the overrides say everything.

    Returns:
        The value to maximise, for sweepers that search.
    """
    del config
    from attnbench.launch.ranks import train_on_devices
    from attnbench.training.distributed import take_world
    from attnbench.training.plan import plan
    from attnbench.training.train import train

    hydra = HydraConfig.get()
    overrides = [*hydra.overrides.hydra, *hydra.overrides.task]
    job = plan(compose(overrides, given_config_dir(hydra), hydra.job.config_name))
    devices, nodes = job.config["trainer"]["devices"], job.config["trainer"]["nodes"]
    world = take_world(devices, nodes=nodes)
    if nodes == 1 and devices > world.size:
        train_on_devices(job)
        record = RunFolder(job.folder).record()
        return objective(record if isinstance(record, FinishedRecord) else None)
    return objective(train(job, world=world))


def given_config_dir(hydra: Any) -> str | None:
    """Return the folder that was given as `--config-dir`, from the `hydra` node of a configuration."""
    sources = hydra.runtime.config_sources
    return next((str(source.path) for source in sources if source.provider == "command-line"), None)


def objective(record: FinishedRecord | None) -> float | None:
    """Return what a sweeper that searches maximises: the best validation accuracy, or None without validation."""
    return record.main_value(VAL, best=True) if record is not None else None


def launch(override_lists: Sequence[Sequence[str]], hydra: DictConfig) -> list[JobReturn]:
    """Run the jobs of another sweeper through attnbench's scheduler.

    Args:
        override_lists: the overrides of each job.
        hydra: the `hydra` node of the configuration.
    """
    from attnbench.cli.sweep import jobs_of, run_all

    try:
        jobs = jobs_of(override_lists, given_config_dir(hydra), hydra.job.config_name)
    except UserError as error:
        print_message(str(error))
        raise SystemExit(WRONG_INPUT) from error
    status = run_all(jobs)
    if status not in (DONE, FAILED):
        raise SystemExit(status)
    return [_job_return(overrides, job.folder) for overrides, job in zip(override_lists, jobs, strict=True)]


def _job_return(overrides: Sequence[str], folder: Path) -> JobReturn:
    record = readable(RunFolder(folder).record, None)
    result = JobReturn(overrides=list(overrides), working_dir=str(folder))
    if isinstance(record, FinishedRecord):
        result.status, result.return_value = JobStatus.COMPLETED, objective(record)
    else:
        result.status = JobStatus.FAILED
        reason = (record.error if record is not None else "") or "did not finish"
        result.return_value = RuntimeError(f"{folder}: {reason}")
    return result
