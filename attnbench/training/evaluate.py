"""A trained run's test, once more or under other settings: the same pipeline, network and counting as after training.

On the same machine and under the same settings it gives the recorded number exactly.
"""

import pickle
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from attnbench.build import build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.construct import build_data, guarded
from attnbench.data.bases.dataset import DataSet
from attnbench.errors import UserError
from attnbench.runs.environment import environment
from attnbench.runs.evaluations import Entry, Evaluation
from attnbench.runs.folder import Job
from attnbench.runs.record import now
from attnbench.training import assembly, distributed
from attnbench.training.hardware import Hardware, check_layout, resolve, set_up
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import make_recipe, make_trainer_options
from attnbench.training.stage_responses import insert_probes, read_probes
from attnbench.training.train import describe as network_and_data
from attnbench.training.train import interrupts_raised, stopped_by_termination
from attnbench.weights.load import differences, shape_of

PREFIX = "net."
"""Of the network's weights in a checkpoint of `TrainingModule`."""


def check(evaluation: Evaluation) -> None:
    """Find out, without reading images, whether an evaluation can be done. Raises `UserError`."""
    if distributed.launched():
        raise UserError("an evaluation runs in one process; start it without torchrun")
    config = evaluation.config
    options, data = make_trainer_options(config), build_data(config)
    trained_on = evaluation.record["data"]["classes"]
    if data.num_classes != trained_on:
        raise UserError(f"data={config.choices['data']}: has {data.num_classes} classes, the run learned {trained_on}")
    net = build_model_on_meta(config, data)
    guarded("trainer", lambda: check_layout(options, net))
    data.find()
    if "test" not in data.splits:
        raise UserError(f"data={config.choices['data']}: there is no test set to evaluate on")
    if complaint := misfit(weights_of(evaluation), net):
        told = " ".join(evaluation.named_settings) or "this version"
        raise UserError(f"{told}: the run's weights do not fit: {complaint}")


def evaluate(evaluation: Evaluation) -> Entry:
    """Test a run and return what is to be kept. Raises `KeyboardInterrupt` when stopped."""
    config, run = evaluation.config, evaluation.run
    job = Job(config, evaluation.record["identity"], run.path)
    options, data = make_trainer_options(config), build_data(config)
    blueprint = build_model_on_meta(config, data).eval()
    hardware = resolve(options, blueprint, kept_choices(evaluation))
    set_up(hardware)
    net = assembly.make_net(job, data, hardware, options.compile)
    net.load_state_dict(weights_of(evaluation))
    factory = assembly.make_loader_factory(data, hardware)
    pipelines = assembly.make_pipelines(factory, job.seed, ("test",))
    module = TrainingModule(net, make_recipe(config), hardware, pipelines, job.seed)
    probes = insert_probes(net.backbone) if evaluation.responses else {}
    watch = Stopwatch()
    trainer = assembly.make_trainer(hardware, 1, False, [], [watch], run)
    with closing(factory), stopped_by_termination(), interrupts_raised(trainer):
        trainer.test(module, verbose=False)
    speed = watch.speed(module.pipelines["test"].count)
    return describe(evaluation, module, hardware, data, blueprint) | read_probes(probes) | speed


def describe(
    evaluation: Evaluation, module: TrainingModule, hardware: Hardware, data: DataSet, blueprint: Classifier
) -> Entry:
    """An entry of `evaluations.json`, but for its speed: the names are those of a record."""
    return {
        "checkpoint": evaluation.checkpoint,
        "epoch": evaluation.epoch,
        "settings": evaluation.settings,
        **{f"test/{name}": value for name, value in module.test_metrics.items()},
        "recorded/top1_accuracy": evaluation.recorded_accuracy,
        **network_and_data(blueprint, data, module.pipelines),
        "resolved": hardware.as_dict(),
        "environment": environment(),
        "written": now(),
    }


def kept_choices(evaluation: Evaluation) -> dict[str, Any]:
    """What the run chose for `auto`, but for options of the trainer that are set otherwise now."""
    trained, asked = evaluation.record["config"]["trainer"], evaluation.config["trainer"]
    return {key: value for key, value in evaluation.record["resolved"].items() if trained.get(key) == asked.get(key)}


class Stopwatch(Callback):
    """Times a test, from its first batch until its metrics are read."""

    started = stopped = 0.0

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stopped = time.perf_counter()

    def speed(self, images: int) -> Entry:
        """Seconds of one pass, which warms up as well, and images per second."""
        seconds = self.stopped - self.started
        return {"seconds": seconds, "images_per_second": images / seconds}


def weights_of(evaluation: Evaluation) -> dict[str, Tensor]:
    """The network's weights in a run's checkpoint. Raises `UserError` if it is damaged or of another epoch."""
    path = evaluation.weights
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        epoch, state = checkpoint["epoch"] + 1, checkpoint["state_dict"]
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        raise UserError(f"checkpoints/{path.name} cannot be read; it is damaged ({type(error).__name__})") from error
    if epoch != evaluation.epoch:
        raise UserError(f"checkpoints/{path.name} is of epoch {epoch}, the record tells of {evaluation.epoch}")
    return {key.removeprefix(PREFIX): value for key, value in state.items()}


def misfit(stored: Mapping[str, Tensor], net: nn.Module) -> str:
    """In what stored weights differ from those of a network, in a few words; empty if they fit."""
    wanted = net.state_dict()
    shapes = (
        f"{key} is {shape_of(stored[key])} in the checkpoint and {shape_of(wanted[key])} here"
        for key in wanted
        if key in stored and stored[key].shape != wanted[key].shape
    )
    missing = (key for key in wanted if key not in stored)
    return differences(shapes, missing, (key for key in stored if key not in wanted), "the checkpoint")
