"""The parts of a training job, made from its configuration: network, pipelines, loggers, trainer."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy

from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.schema import flatten
from attnbench.construct import construct, parameters_of
from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.base import Loader, Placement
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.splits import SPLITS, Split
from attnbench.runs.folder import Job, RunFolder
from attnbench.seeding import derive_seed
from attnbench.training import distributed
from attnbench.training.hardware import Hardware


def make_net(job: Job, data: DataSet, hardware: Hardware, compiled: bool) -> Classifier:
    """Build the classifier with the seed's weights, which are the same on every device."""
    torch.manual_seed(derive_seed(job.seed, "initial weights"))
    net = build_model(job.config, data)
    if hardware.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if compiled:
        net.backbone.compile()  # in place, so that names in checkpoints stay
    return net


def make_loader_factory(data: DataSet, hardware: Hardware) -> LoaderFactory:
    """Make the factory of a data set's loaders on this process's device."""
    index = distributed.local_rank() if hardware.accelerator == "gpu" else None
    placement = Placement(
        device=torch.device(hardware.device_type, index) if index is not None else torch.device(hardware.device_type),
        dtype=torch.bfloat16 if hardware.precision == "bf16" else torch.float32,
        channels_last=hardware.channels_last,
        rank=distributed.rank(hardware.devices),
        world=distributed.world_size(hardware.devices),
    )
    return LoaderFactory(data, placement)


def make_pipelines(factory: LoaderFactory, seed: int, splits: Sequence[Split] = SPLITS) -> dict[str, Loader]:
    """Make the loaders of splits; `validation` is left out when no image is held out."""
    wanted = [split for split in factory.data.splits if split in splits]
    try:
        return {split: factory.make(split, seed if split == "train" else None) for split in wanted}
    except BaseException:
        factory.close()
        raise


def make_callbacks(job: Job) -> list[Callback]:
    """The callbacks that the configuration names."""
    return [construct(f"callbacks.{name}", node) for name, node in job.config["callbacks"].items()]


def make_loggers(job: Job, run: RunFolder, images_seen: int) -> list[Logger]:
    """The loggers that the configuration names, each writing into the run's folder.

    One that takes `purge_step` is told from which step on it is to forget what an interrupted epoch logged.
    """
    loggers = []
    for name, node in job.config["logger"].items():
        extra: dict[str, Any] = {"save_dir": run.path}
        if "purge_step" in parameters_of(node["_target_"]):
            extra["purge_step"] = images_seen + 1
        loggers.append(construct(f"logger.{name}", node, **extra))
    return loggers


def make_trainer(
    hardware: Hardware, epochs: int, validated: bool, loggers: list[Logger], callbacks: list[Callback], run: RunFolder
) -> pl.Trainer:
    """A Lightning trainer that does what the configuration says and nothing else."""
    quieten_lightning()
    strategy: Any = "auto"
    if hardware.devices > 1:
        backend = "nccl" if hardware.accelerator == "gpu" else "gloo"
        # buffers are averaged once an epoch by the module; broadcasting them would depend on the block's length
        strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True, process_group_backend=backend)
    return pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy=strategy,
        max_epochs=epochs,
        limit_val_batches=None if validated else 0,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=run.path,
    )


HINTS = (
    ".*does not have many workers.*",  # our blocks are no data loaders
    ".*exists and is not empty.*",  # a run's folder holds more than checkpoints
    ".*treespec, LeafSpec.*",  # Lightning's own business with torch
    ".*in eval mode at the start of training.*",  # frozen batch normalisation is
    ".*`broadcast_buffers` is deprecated.*",  # its successor still syncs at the start, and older torch lacks it
    ".*sync_dist=True.*",  # torchmetrics has summed over processes already
)


def quieten_lightning() -> None:
    """Hold back Lightning's banners, and hints that do not apply."""
    for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for hint in HINTS:
        warnings.filterwarnings("ignore", hint)


def hyperparameters(job: Job) -> dict[str, Any]:
    """What tells this run from others, flat, for a logger's table of hyperparameters."""
    values = {**flatten(job.config.identity), **job.config.choices, "seed": job.seed}
    shown = {key: value for key, value in values.items() if not key.split(".")[-1].startswith("_")}
    return {key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in shown.items()}
