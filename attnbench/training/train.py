"""The training job, from a plan to a record: find it done, resume it, or train it from the start."""

import pickle
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
import yaml
from rich.console import Console

from attnbench.build import build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.construct import build_data
from attnbench.cost import count
from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.base import Loader
from attnbench.errors import UserError
from attnbench.runs.files import write_atomically
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.runs.lock import Lock
from attnbench.runs.record import Recorder, training_summary
from attnbench.training import assembly, distributed
from attnbench.training.callbacks.energy import EnergyCallback, EnergyMeter, counters_of
from attnbench.training.callbacks.epoch_log import EpochLog, checkpoints
from attnbench.training.callbacks.progress import ProgressBar
from attnbench.training.hardware import resolve, set_up
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.loggers import log_result
from attnbench.training.malloc import peak_memory_bytes
from attnbench.training.plan import make_recipe, make_trainer_options
from attnbench.weights import load as weights

TEST_METRICS = ("top1_accuracy", "top5_accuracy", "loss")
Record = dict[str, Any]
Rows = list[dict[str, Any]]


def train(job: Job, console: Console | None = None) -> Record:
    """Do a job and return its record; a finished run is found, an unfinished one goes on after its last epoch.

    console: where progress is shown, if anywhere. Raises `RunLockedError` if another process trains this run,
    `KeyboardInterrupt` when stopped (the run can be resumed), and whatever made training fail; the record says which.
    """
    run = RunFolder(job.folder)
    if not distributed.is_first(job.config["trainer"]["devices"]):
        return _train(job, run, None, None, None)
    with Lock(run.path) as lock:
        record = run.record()
        if job.again and (record is not None or run.last_checkpoint.is_file()):
            run.set_aside()
        elif record is not None and record["status"] == "finished":
            return record
        recorder = Recorder(job, run)
        with outcome_recorded(recorder), stopped_by_termination():
            return _train(job, run, lock, recorder, console)


def _train(job: Job, run: RunFolder, lock: Lock | None, recorder: Recorder | None, console: Console | None) -> Record:
    """Train, test and record; without lock and recorder, as one of several processes that only computes."""
    options, recipe = make_trainer_options(job.config), make_recipe(job.config)
    data = build_data(job.config)
    blueprint = build_model_on_meta(job.config, data)
    hardware = resolve(options, blueprint, recorder.resolved if recorder else (run.record() or {}).get("resolved"))
    set_up(hardware)
    meter = EnergyMeter(counters_of(hardware.device_type))
    net = assembly.make_net(job, data, hardware, options.compile)
    factory = assembly.make_loader_factory(data, hardware)
    pipelines = assembly.make_pipelines(factory, job.seed)
    validated = "validation" in pipelines
    checkpoint, rows = where_to_resume(run)
    left_out = weights.load(job.config, net.backbone) if checkpoint is None else []
    if recorder:
        if left_out:
            said = f"attnbench: weights are loaded, but for {', '.join(left_out)}"
            (console or Console()).print(said, soft_wrap=True)
        write_atomically(run.config_file, yaml.safe_dump(job.config.values, sort_keys=False))
        run.write_rows(rows)
        recorder.write("running", resolved=hardware.as_dict(), **describe(blueprint, data, pipelines))
    loggers = assembly.make_loggers(job, run, rows[-1]["images"] if rows else 0)
    callbacks = [
        *assembly.make_callbacks(job),
        EpochLog(run, lock, rows),
        *checkpoints(run, validated),
        EnergyCallback(meter),
    ]
    if options.progress and console is not None:
        callbacks.append(ProgressBar(console))
    trainer = assembly.make_trainer(hardware, recipe.epochs, validated, loggers, callbacks, run)
    module = TrainingModule(net, recipe, hardware, pipelines, job.seed)
    with closing(factory), interrupts_raised(trainer):
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        result = training_summary(rows) | {"peak_memory_bytes": peak_memory_bytes(hardware.device_type)}
        result["energy_joules"] = meter.joules() if checkpoint is None else None  # an earlier part was not counted
        result |= test(trainer, module, run, result)
    if recorder is None:
        return {}
    metrics = {key: value for key, value in result.items() if key.startswith("test/") and value is not None}
    log_result(loggers, assembly.hyperparameters(job), metrics, result["images"])
    return recorder.write("finished", **result)


def where_to_resume(run: RunFolder) -> tuple[str | None, Rows]:
    """The checkpoint to go on from, if there is one, and the metrics of the epochs before it. Raises `UserError` if it
    is damaged.
    """
    if not run.last_checkpoint.is_file():
        return None, []
    try:
        epoch = torch.load(run.last_checkpoint, map_location="cpu", weights_only=True, mmap=True)["epoch"]
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        raise UserError(
            f"{shown(run.last_checkpoint)} cannot be read; it is damaged ({type(error).__name__});"
            " run.again=true sets the run aside and trains anew"
        ) from error
    return str(run.last_checkpoint), [row for row in run.rows() if row["epoch"] <= epoch + 1]


def describe(net: Classifier, data: DataSet, pipelines: dict[str, Loader]) -> Record:
    """What a record says of network and data."""
    images = {f"{split}_images": pipeline.count for split, pipeline in pipelines.items()}
    cost = count(net, data.channels, data.image_size)
    found: Record = {"fingerprint": data.fingerprint(), "classes": data.num_classes, "image_size": data.image_size}
    if data.all_classes != data.num_classes:
        found["all_classes"] = data.all_classes  # a part of the set is no result on the set
    skipped = sum(pipeline.skipped for pipeline in pipelines.values())
    return {**asdict(cost), "data": {**found, **images, **({"skipped_images": skipped} if skipped else {})}}


def test(trainer: pl.Trainer, module: TrainingModule, run: RunFolder, summary: Record) -> Record:
    """Read the test set, once: for the last epoch's weights and for those of the best validation epoch.

    Without a test set, the metrics are None.
    """
    if "test" not in module.pipelines:
        return dict.fromkeys(f"test/{prefix}{name}" for prefix in ("", "best/") for name in TEST_METRICS)
    trainer.test(module, verbose=False)
    result = {f"test/{name}": value for name, value in module.test_metrics.items()}
    best_epoch = summary["best_epoch"]
    if best_epoch not in (None, summary["epochs"]):
        best = torch.load(run.best_checkpoint, map_location="cpu", weights_only=True)
        if best["epoch"] + 1 != best_epoch:
            raise RuntimeError(f"{run.best_checkpoint} is of epoch {best['epoch'] + 1}, the best one is {best_epoch}")
        module.load_state_dict(best["state_dict"])
        trainer.test(module, verbose=False)
    metrics = module.test_metrics.items()
    return result | {f"test/best/{name}": value if best_epoch else None for name, value in metrics}


@contextmanager
def outcome_recorded(recorder: Recorder) -> Iterator[None]:
    """Leave in the record how a run ended that did not end well."""
    try:
        yield
    except KeyboardInterrupt:
        recorder.write("interrupted")
        raise
    except BaseException as error:
        recorder.write("failed", error=f"{type(error).__name__}: {error}")
        raise


@contextmanager
def stopped_by_termination() -> Iterator[None]:
    """Take a request to terminate (a batch system's, the scheduler's) like Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_raised(trainer: pl.Trainer) -> Iterator[None]:
    """Raise `KeyboardInterrupt` where Lightning, having cleaned up after one, exits with status 1."""
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
