"""Memory layout, CPU threads and compiling by measurement, for `trainer.performance=auto`.

Candidates take training steps in turns, and the fastest is remembered in the cache folder, for network, batch, device
and torch. They compute the same but for the order of sums. Precision is no candidate: bf16 changes more than that, and
networks that are compared should have the same. Compiling takes minutes, so it is tried with `trainer.compile=auto`
alone, and on GPUs: on CPUs that were tried it did not pay.
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
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, resolve
from attnbench.training.speed_probe import Probe, alternate, probe_batch, seconds_of
from attnbench.training.trainer_ranges import GRAPHS

TURNS = 3
"""Measured turns, after one that warms up."""
Choices = dict[str, Any]

logger = logging.getLogger(__name__)


def measured_choices(experiment: Experiment) -> Choices:
    """Return the fastest choices, as `resolve` takes over recorded ones; options that are set are left as they are."""
    options = candidates(experiment)
    if len(options) == 1:
        return options[0]
    path = cache_folder() / "performance" / f"{_key(experiment, options)}.json"
    if (remembered := _read(path)) in options:
        return remembered
    seconds = measure(experiment, options)
    chosen = options[seconds.index(min(seconds))]
    logger.info("trainer.performance=auto: %s", ", ".join(f"{key}={value}" for key, value in chosen.items()))
    _remember(path, chosen)
    return chosen


def candidates(experiment: Experiment) -> list[Choices]:
    """Return what may be chosen, that which is chosen without measuring first."""
    options = experiment.options
    usual = resolve(options, experiment.blueprint)
    free_layout = options.channels_last == "auto" and usual.channels_last  # otherwise it breaks or brings nothing
    free_threads = options.threads == "auto" and usual.accelerator == "cpu" and usual.threads > 1
    free_compiling = options.compile == "auto" and usual.accelerator == "gpu"
    return [
        {"channels_last": channels_last, "threads": threads, "compile": compiled}
        for compiled in ([False, True, GRAPHS] if free_compiling else [usual.compile])
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
        logger.warning("the choice of trainer.performance=auto cannot be kept: %s", error)
