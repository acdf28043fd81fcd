"""Memory layout and CPU threads by measurement, for `trainer.performance=auto`; compiling, for `trainer.compile=auto`.

Candidates take training steps in turns, and the fastest is remembered in the cache folder, for network, batch, device
and torch. They compute the same but for the order of sums. Precision is no candidate: bf16 changes more than that, and
networks that are compared should have the same. Compiling takes minutes, and on CPUs that were tried it did not pay, so
it is tried on GPUs alone. Nothing is measured for a run on several devices.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from attnbench.data.sources.cache_dir import cache_folder
from attnbench.errors import UserError
from attnbench.runs.files import make_folder, read_json, write_json
from attnbench.training.distributed import World
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, choose_accelerator, resolve
from attnbench.training.speed_probe import Probe, alternate, probe_batch, seconds_of
from attnbench.training.trainer_ranges import GRAPHS

TURNS = 3
"""Measured turns, after one that warms up."""
Choices = dict[str, Any]

logger = logging.getLogger(__name__)


def choices_of(experiment: Experiment, world: World) -> Choices | None:
    """Return the choices that the options leave to measurement, None if there are none; say which `auto` does nothing.

    Args:
        experiment: the run that begins.
        world: this process's place among those of the run.
    """
    asked = [f"trainer.{key}=auto" for key in ("performance", "compile") if getattr(experiment.options, key) == "auto"]
    if asked and world.size == 1:
        return measured_choices(experiment)
    if asked and world.rank == 0:
        logger.warning("%s: without effect on several devices: they measure nothing", " ".join(asked))
    return None


def measured_choices(experiment: Experiment) -> Choices:
    """Return the fastest choices, as `resolve` takes over recorded ones; options that are set are left as they are."""
    if experiment.options.compile == "auto" and choose_accelerator(experiment.options.accelerator) != "gpu":
        logger.warning("trainer.compile=auto: compiles nothing without a GPU; trainer.compile=true does")
    options = candidates(experiment)
    if len(options) == 1:
        return options[0]
    path = cache_folder() / "performance" / f"{_key(experiment, options)}.json"
    if (remembered := _read(path)) in options:
        return remembered
    compiles = any(each["compile"] for each in options)
    wait = ", which compile first, in minutes" if compiles else ""
    logger.info("measuring %d ways to compute a step%s; the fastest is remembered", len(options), wait)
    seconds = measure(experiment, options)
    chosen = options[seconds.index(min(seconds))]
    logger.info("measured as fastest: %s", ", ".join(f"{key}={value}" for key, value in chosen.items()))
    _remember(path, chosen)
    return chosen


def candidates(experiment: Experiment) -> list[Choices]:
    """Return what may be chosen, that which is chosen without measuring first."""
    options = experiment.options
    usual = resolve(options, experiment.blueprint)
    free = options.performance == "auto"
    free_layout = free and options.channels_last == "auto" and usual.channels_last  # else it breaks or brings nothing
    free_threads = free and options.threads == "auto" and usual.accelerator == "cpu" and usual.threads > 1
    free_compiling = options.compile == "auto" and usual.accelerator == "gpu"
    compiling = [False, True] if experiment.recipe.accumulate > 1 else [False, True, GRAPHS]  # see check_compiling
    return [
        {"channels_last": channels_last, "threads": threads, "compile": compiled}
        for compiled in (compiling if free_compiling else [usual.compile])
        for channels_last in ([True, False] if free_layout else [usual.channels_last])
        for threads in ([usual.threads, 1] if free_threads else [usual.threads])
    ]


def measure(experiment: Experiment, options: list[Choices]) -> list[float]:
    """Return the median seconds of a training step for each of the candidates, measured in turns."""
    batch = probe_batch(experiment.data.batch_size)
    probes = {way: Probe(experiment, batch, way) for way in dict.fromkeys(each["compile"] for each in options)}

    def step_with(hardware: Hardware) -> float:
        probe = probes[hardware.compile]
        probe.use(hardware)
        probe.step()
        return seconds_of(probe.step, 1)

    actions = [partial(step_with, resolve(experiment.options, experiment.blueprint, each)) for each in options]
    return [median(values) for values in alternate(actions, TURNS)]


def _key(experiment: Experiment, options: list[Choices]) -> str:
    """Return a hash of everything that the fastest choice depends on."""
    hardware = resolve(experiment.options, experiment.blueprint)
    parts = {
        **{group: experiment.config[group] for group in ("backbone", "attention")},
        "image": [experiment.data.channels, experiment.image_size],
        "batch": experiment.data.batch_size,
        "device": [hardware.device_name, os.cpu_count(), hardware.precision, torch.__version__],
        "candidates": options,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Any:
    """Return what is remembered; None if nothing is, or the file is damaged."""
    try:
        return read_json(path)
    except UserError as error:
        logger.warning("%s; measuring again", error)
        return None


def _remember(path: Path, chosen: Mapping[str, Any]) -> None:
    """Write a choice to the cache folder; if that fails, it is measured again next time."""
    try:
        make_folder(path.parent)
        write_json(path, chosen)
    except (OSError, UserError) as error:
        logger.warning("what was measured as fastest cannot be kept: %s", error)
