"""The training job: find it finished, resume it, or train it from the start, and record it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from rich.console import Console

from attnbench.runs.files import write_atomically
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lock import Lock
from attnbench.runs.metric_names import TEST, metric_name
from attnbench.runs.record import FinishedRecord
from attnbench.runs.record_parts import CostRecord, DataRecord, HardwareRecord, Metrics
from attnbench.runs.record_writer import Outcome, RecordWriter, TrainingSummary, training_summary
from attnbench.termination import stopped_by_termination
from attnbench.training.callbacks import busy_cores
from attnbench.training.callbacks.energy import EnergyCallback, meter_of
from attnbench.training.callbacks.epoch_log import EpochLog
from attnbench.training.callbacks.progress import ProgressBar
from attnbench.training.callbacks.save_checkpoints import SaveCheckpoints
from attnbench.training.datamodule import RunData
from attnbench.training.distributed import World, require_processes
from attnbench.training.experiment import Experiment
from attnbench.training.failures import DivergedError, explain, memory_for
from attnbench.training.hardware import choose_accelerator, on_device_layout, resolve, set_up
from attnbench.training.interrupts import interrupts_raised
from attnbench.training.lightning_compat import event_errors_raised_once
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.loggers import log_result
from attnbench.training.malloc import peak_memory_bytes
from attnbench.training.performance import choices_of
from attnbench.training.resume import Resumable
from attnbench.training.sync_batchnorm import synchronise_batch_norms
from attnbench.training.trainer import hyperparameters, make_callbacks, make_loggers, make_trainer
from attnbench.weights import load as weights

logger = logging.getLogger(__name__)


def train(
    job: Job, console: Console | None = None, experiment: Experiment | None = None, world: World | None = None
) -> FinishedRecord | None:
    """Train a run and return its record; None in every process but the first of a run on several devices.

    A finished run is found, and an unfinished one continues after its last finished epoch.

    Args:
        job: the run to be done.
        console: where progress is shown, if anywhere.
        experiment: what is made from the job's configuration, if the caller has it already.
        world: this process's place among those of a run on several devices.

    Raises:
        RunLockedError: another process trains this run.
        MeetingError: the processes of the run did not find each other.
        UserError: a file of the run is damaged, or the run needs another number of processes.
        KeyboardInterrupt: training was stopped; the same job continues it.
        Exception: whatever made training fail; the record names it too.
    """
    run, experiment, world = RunFolder(job.folder), experiment or Experiment(job.config), world or World()
    options = experiment.options
    if world.rank:
        require_processes(options.devices, options.nodes, world)
        return None if run.finished() and not job.again else _train(job, experiment, world, None, None, None)
    with Lock(run.path) as lock:
        if not job.again and isinstance(record := run.record(), FinishedRecord):
            return record
        require_processes(options.devices, options.nodes, world)
        if job.again:
            begin_again(job, run)
        recorder = RecordWriter(job, run)
        with outcome_recorded(recorder), stopped_by_termination(), event_errors_raised_once():
            return _train(job, experiment, world, lock, recorder, console)


def begin_again(job: Job, run: RunFolder) -> None:
    """Archive an earlier training. Whoever starts the job's file from now on resumes the new one."""
    if run.record_file.exists() or run.last_checkpoint.is_file():
        run.archive()
    if run.job_file.is_file():
        job.resumed().save(run.job_file)


def _train(
    job: Job,
    experiment: Experiment,
    world: World,
    lock: Lock | None,
    recorder: RecordWriter | None,
    console: Console | None,
) -> FinishedRecord | None:
    """Train, test and record; without lock and recorder, as one of several processes that only computes."""
    run = RunFolder(job.folder)
    backend = "nccl" if choose_accelerator(experiment.options.accelerator) == "gpu" else "gloo"
    world.meet(f"{job.identity} seed {job.seed}", backend)
    choices = _recorded_choices(run, recorder) or choices_of(experiment, world)
    hardware = resolve(experiment.options, experiment.blueprint, choices)
    set_up(hardware)
    meter = meter_of(hardware.device_type, world.local_rank)
    with memory_for(experiment.blueprint):
        net = on_device_layout(experiment.build_network(), hardware)
        if experiment.options.sync_batchnorm and world.size > 1:
            synchronise_batch_norms(net, hardware.device_type)
    recipe = experiment.recipe
    with closing(experiment.open_data(hardware, experiment.splits, world, recipe)) as data:
        module = experiment.make_module(net, hardware, data.loaders, job.on_divergence)
        resumable = Resumable(job, net, recipe, finite=job.on_divergence == "stop")
        checkpoint, rows, stopped = resumable.resumption(owner=recorder is not None)
        world.check_start(len(rows))
        left_out = weights.load(experiment.config, net.backbone) if checkpoint is None else []
        if recorder:
            if left_out:
                logger.info("weights are loaded, but for %s", ", ".join(left_out))
            write_atomically(run.config_file, yaml.safe_dump(experiment.config.values, sort_keys=False))
            run.write_rows(rows)
            scaled_lr = recipe.lr if recipe.lr_batch_size else None
            start = weights.content_of(experiment.config, net.backbone) if checkpoint is None else None
            recorder.describe(HardwareRecord(**hardware.as_dict()), *describe(experiment, data), scaled_lr, start, rows)
        loggers = make_loggers(experiment.config, run, rows[-1].images if rows else 0) if recorder else []
        callbacks = [
            *make_callbacks(experiment.config),
            EpochLog(run, lock, rows),
            SaveCheckpoints(job, rows),
            EnergyCallback(meter),
            *busy_cores.for_threads(hardware),
        ]
        if experiment.options.progress and console is not None:
            callbacks.append(ProgressBar(console))
        epochs = len(rows) if stopped else recipe.epochs
        trainer = make_trainer(hardware, run, epochs, "validation" in data.loaders, loggers, callbacks, world)
        with interrupts_raised(trainer):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            summary = training_summary(rows, experiment.task.main_metric)
            memory = peak_memory_bytes(hardware.device_type)
            # energy of an earlier, interrupted part was not counted
            joules = world.total("energy", meter.joules() if checkpoint is None else None)
            metrics = test(trainer, module, data, resumable, summary, experiment.task.test_metrics)
    if recorder is None:
        return None
    measured = {name: value for name, value in metrics.items() if value is not None}
    log_result(loggers, hyperparameters(recorder.job), measured, summary.images)
    return recorder.finish(summary, metrics, memory, joules)


def _recorded_choices(run: RunFolder, recorder: RecordWriter | None) -> dict[str, Any] | None:
    """Return the choices of `auto` that an earlier part of the run made, if there was one."""
    record = recorder.record if recorder is not None else run.record()
    return record.resolved.to_json() if record is not None and record.resolved is not None else None


def describe(experiment: Experiment, data: RunData) -> tuple[DataRecord, CostRecord]:
    """Return what a record says of data and network."""
    description, loaders = experiment.data, data.loaders.values()
    part = description.all_classes != description.num_classes
    images: dict[str, Any] = {f"{split}_images": loader.count for split, loader in data.loaders.items()}
    data_record = DataRecord(
        fingerprint=description.fingerprint(),
        classes=description.num_classes,
        image_size=description.image_size,
        all_classes=description.all_classes if part else None,  # a part of the set is no result on the set
        skipped_images=sum(loader.skipped for loader in loaders),
        **images,
    )
    return data_record, CostRecord(**asdict(experiment.cost))


def test(
    trainer: pl.Trainer,
    module: TrainingModule,
    data: RunData,
    resumable: Resumable,
    summary: TrainingSummary,
    measured: Sequence[str],
) -> Metrics:
    """Read the test set, once: for the last epoch's weights and for those of the best validation epoch.

    Predictions are kept in the run's folder. measured: what a test measures, by its names without the split.

    Returns:
        The metrics by their names in the record; all None without a test set.
    """
    if "test" not in data.loaders:
        return dict.fromkeys(metric_name(TEST, name, best) for best in (False, True) for name in measured)
    run = resumable.run
    module.epochs_begun = summary.epochs
    _test_once(trainer, module, data, run.last_predictions)
    result = {metric_name(TEST, name): value for name, value in module.test_metrics.items()}
    best_epoch = summary.best_epoch
    if best_epoch is not None and best_epoch != summary.epochs:
        module.load_state_dict(resumable.read_best(best_epoch)["state_dict"])
        module.epochs_begun = best_epoch
        _test_once(trainer, module, data, run.best_predictions)
    metrics = module.test_metrics.items()
    return result | {metric_name(TEST, name, best=True): value if best_epoch else None for name, value in metrics}


def _test_once(trainer: pl.Trainer, module: TrainingModule, data: RunData, predictions: Path) -> None:
    """Test the module's weights and write the predictions to a file."""
    trainer.test(module, datamodule=data, verbose=False)
    if trainer.is_global_zero and (found := module.predictions(data.data.classes)) is not None:
        found.write(predictions)


@contextmanager
def outcome_recorded(recorder: RecordWriter) -> Iterator[None]:
    """Record how a run ended if it did not finish."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # on a full disk the old record stays; without an owner it counts as interrupted
            recorder.stop(*outcome_of(error, recorder.job))
        raise


def outcome_of(error: BaseException, job: Job) -> tuple[Outcome, str]:
    """Return the status of a run that an error ended, and the reason."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ""
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    return "failed", explain(error, job) or f"{type(error).__name__}: {error}"
