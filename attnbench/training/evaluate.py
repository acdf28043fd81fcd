"""Test a trained run again, or under other settings, with the loaders, network and metrics of training.

On the same machine and under the same settings the recorded number comes out exactly.
"""

import time
from contextlib import closing
from typing import Any, Literal, NamedTuple, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from attnbench.classifier import Network
from attnbench.construct import guarded
from attnbench.errors import RunError, UserError
from attnbench.runs.environment import environment
from attnbench.runs.evaluation_entry import INITIAL
from attnbench.runs.evaluations import Evaluation, EvaluationEntry
from attnbench.runs.metric_names import TEST, metric_name
from attnbench.runs.predictions import SavedPredictions
from attnbench.runs.record_parts import HardwareRecord, Metrics
from attnbench.runs.record_writer import now
from attnbench.termination import stopped_by_termination
from attnbench.training.checkpoints import epoch_of, misfit, read_checkpoint, weights_in
from attnbench.training.datamodule import RunData
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, check_memory_layout, on_device_layout, resolve, set_up
from attnbench.training.interrupts import interrupts_raised
from attnbench.training.stage_responses import insert_probes, read_probes, use_batch_moments
from attnbench.training.train import describe as data_and_network
from attnbench.training.trainer import make_trainer
from attnbench.weights.load import load


class EvaluationResult(NamedTuple):
    """Result of an evaluation: the entry of `evaluations.json`, and the predictions for all test images."""

    entry: EvaluationEntry
    predictions: SavedPredictions | None


def check(evaluation: Evaluation) -> Experiment:
    """Check, without reading images, that an evaluation can be done; return what is made from its configuration.

    Raises:
        UserError: the data set, the network or the checkpoint does not allow it.
    """
    experiment, choice = Experiment(evaluation.config), evaluation.config.choices["data"]
    options, data, trained_on = experiment.options, experiment.data, evaluation.record.data.classes
    if data.num_classes != trained_on:
        raise UserError(f"data={choice}: has {data.num_classes} classes, the run learned {trained_on}")
    net = experiment.blueprint
    guarded("trainer", lambda: check_memory_layout(options, net))
    data.check_available()
    if "test" not in data.splits:
        raise UserError(f"data={choice}: there is no test set to evaluate on")
    if evaluation.checkpoint != INITIAL and (complaint := misfit(weights_of(evaluation), net)):
        settings = " ".join(evaluation.named_settings) or "this version"
        raise UserError(f"{settings}: the run's weights do not fit: {complaint}")
    return experiment


def evaluate(evaluation: Evaluation) -> EvaluationResult:
    """Test a run. Raises `KeyboardInterrupt` when stopped."""
    experiment = Experiment(evaluation.config)
    hardware = resolve(experiment.options, experiment.blueprint.eval(), kept_choices(evaluation))
    set_up(hardware)
    net = network_of(evaluation, experiment, hardware)
    probes = insert_probes(net.backbone) if evaluation.responses else {}
    watch = Stopwatch()
    trainer = make_trainer(hardware, evaluation.run, callbacks=[watch])
    with closing(experiment.open_data(hardware, ("test",))) as data:
        module = experiment.make_module(net, hardware, data.loaders)
        with stopped_by_termination(), interrupts_raised(trainer):
            trainer.test(module, datamodule=data, verbose=False)
        metrics = {metric_name(TEST, name): value for name, value in module.test_metrics.items()}
        metrics |= read_probes(probes)
        entry = describe(evaluation, experiment, data, metrics, hardware, watch.seconds)
        return EvaluationResult(entry, module.predictions(experiment.data.classes))


def network_of(evaluation: Evaluation, experiment: Experiment, hardware: Hardware) -> Network:
    """Return the network with the weights of the evaluation's checkpoint, or with those that its run started with."""
    net = on_device_layout(experiment.build_network(), hardware)
    if evaluation.checkpoint == INITIAL:
        load(evaluation.config, net.backbone)
        use_batch_moments(net)
    else:
        net.load_state_dict(weights_of(evaluation))
    return net


def describe(
    evaluation: Evaluation,
    experiment: Experiment,
    data: RunData,
    metrics: Metrics,
    hardware: Hardware,
    seconds: float,
) -> EvaluationEntry:
    """Return an entry of `evaluations.json`. seconds: that the pass over the test images took."""
    data_record, costs = data_and_network(experiment, data)
    return EvaluationEntry(
        checkpoint=cast(Literal["last", "best", "initial"], evaluation.checkpoint),
        epoch=evaluation.epoch,
        settings=evaluation.settings,
        metrics=metrics,
        recorded=evaluation.recorded,
        costs=costs,
        data=data_record,
        resolved=HardwareRecord(**hardware.as_dict()),
        environment=environment(),
        written=now(),
        seconds=seconds,
        images_per_second=data.loaders["test"].count / seconds,
    )


def kept_choices(evaluation: Evaluation) -> dict[str, Any]:
    """Return the run's choices of `auto`, without options of the trainer that are set differently now."""
    trained, asked = evaluation.record.config["trainer"], evaluation.config["trainer"]
    return {
        key: value for key, value in evaluation.record.resolved.to_json().items() if trained.get(key) == asked.get(key)
    }


class Stopwatch(Callback):
    """Measure a test from its first batch until its metrics are read."""

    started = stopped = 0.0

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stopped = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of one pass, warm-up included."""
        return self.stopped - self.started


def weights_of(evaluation: Evaluation) -> dict[str, Tensor]:
    """Load the network's weights from a run's checkpoint. Raises `RunError` if it is damaged or of another epoch."""
    path = evaluation.weights
    try:
        checkpoint = read_checkpoint(path)
    except UserError as error:
        raise RunError(str(error)) from error
    if (epoch := epoch_of(checkpoint)) != evaluation.epoch:
        raise RunError(f"checkpoints/{path.name} is of epoch {epoch}, and the record says {evaluation.epoch}")
    return weights_in(checkpoint)
