"""The Lightning trainer of a run, with the callbacks and loggers that its configuration names."""

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, Strategy

from attnbench.config.schema import flatten
from attnbench.config.validate import RunConfig
from attnbench.construct import construct, parameters_of
from attnbench.runs.folder import Job, RunFolder
from attnbench.training.checkpoints import CheckpointFiles
from attnbench.training.distributed import World
from attnbench.training.hardware import Hardware
from attnbench.training.known_world import KnownWorld, leave_signals_alone


def make_callbacks(config: RunConfig) -> list[Callback]:
    """Build the callbacks that a configuration names."""
    return [construct(f"callbacks.{name}", node) for name, node in config["callbacks"].items()]


def make_loggers(config: RunConfig, run: RunFolder, images_seen: int) -> list[Logger]:
    """Build the loggers that a configuration names, each writing into the run's folder.

    Args:
        config: the run's configuration.
        run: the folder to log to.
        images_seen: training images of finished epochs. A logger with the option `purge_step` drops what it logged
            after them, in an epoch that was interrupted. One with the option `run_name` gets the folder's name.
    """
    loggers = []
    for name, node in config["logger"].items():
        extra: dict[str, Any] = {"save_dir": run.path}
        offered = {"purge_step": images_seen + 1, "run_name": f"{run.path.parent.name}/{run.path.name}"}
        taken = parameters_of(node["_target_"]) - set(node)
        extra |= {option: value for option, value in offered.items() if option in taken}
        loggers.append(construct(f"logger.{name}", node, **extra))
    return loggers


def make_trainer(
    hardware: Hardware,
    run: RunFolder,
    epochs: int = 1,
    validated: bool = False,
    loggers: list[Logger] | None = None,
    callbacks: list[Callback] | None = None,
    world: World | None = None,
) -> pl.Trainer:
    """Build a Lightning trainer that does what the configuration says and nothing else.

    Args:
        hardware: the devices to run on.
        run: the folder that Lightning may write to.
        epochs: epochs to train for.
        validated: whether images are held out for validation.
        loggers: where scalars are logged.
        callbacks: what is called between epochs.
        world: this process's place among those of a run on several devices.
    """
    quieten_lightning()
    trainer = pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=_strategy(hardware),
        max_epochs=epochs,
        limit_val_batches=None if validated else 0,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=loggers or [],
        callbacks=callbacks or [],
        default_root_dir=run.path,
        plugins=[KnownWorld(world or World()), CheckpointFiles()],
    )
    leave_signals_alone(trainer)
    return trainer


def _strategy(hardware: Hardware) -> Strategy | str:
    if hardware.devices * hardware.nodes == 1:
        return "auto"
    backend = "nccl" if hardware.accelerator == "gpu" else "gloo"
    # buffers are averaged once an epoch by the module; broadcasting them would depend on the block's length
    return DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True, process_group_backend=backend)


HINTS = (
    ".*does not have many workers.*",  # our blocks are no data loaders
    ".*exists and is not empty.*",  # a run's folder holds more than checkpoints
    ".*treespec, LeafSpec.*",  # Lightning's own business with torch
    ".*in eval mode at the start of training.*",  # frozen batch normalisation is
    ".*`broadcast_buffers` is deprecated.*",  # its successor still syncs at the start, and older torch lacks it
    ".*Please add the following callbacks.*",  # checkpoints of earlier versions hold the state of Lightning's
    ".*`srun` command is available.*",  # a login node has it, and who starts a run's processes is known
    ".*sync_dist=True.*",  # torchmetrics has summed over processes already
)


def quieten_lightning() -> None:
    """Suppress Lightning's banners, and hints that do not apply."""
    for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for hint in HINTS:
        warnings.filterwarnings("ignore", hint)


def hyperparameters(job: Job) -> dict[str, Any]:
    """Return the values that distinguish this run, flat, for a logger's table of hyperparameters."""
    values = {**flatten(job.config.identity), **job.config.choices, "seed": job.seed}
    shown = {key: value for key, value in values.items() if not key.split(".")[-1].startswith("_")}
    return {key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in shown.items()}
