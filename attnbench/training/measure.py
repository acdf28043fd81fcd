"""Measure networks in turns: time of a forward pass and of a training step, and peak memory.

A turn runs a few steps of each network, and a ratio of two networks is taken within a turn, so a machine whose speed
drifts favours none.
"""

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from attnbench.cost import own_shares
from attnbench.training.experiment import Experiment
from attnbench.training.failures import TrainingError, memory_line, out_of_memory
from attnbench.training.hardware import Hardware
from attnbench.training.malloc import MemoryMeter
from attnbench.training.speed_probe import Probe, seconds_of

logger = logging.getLogger(__name__)
TURNS = 7
TURN_SECONDS = 0.2
"""A turn repeats a fast step for about this long."""


@dataclass
class Measurement:
    """Speed and memory of one network.

    Attributes:
        batch: images of a step.
        hardware: the choices that it computed with.
        peak_memory_bytes: of two training steps, weights and optimiser included; None where the system does not say.
        forward_seconds: of a batch in evaluation, for each turn.
        training_seconds: of a training step, for each turn.
    """

    batch: int
    hardware: Hardware
    peak_memory_bytes: int | None
    forward_seconds: list[float] = field(default_factory=list)
    training_seconds: list[float] = field(default_factory=list)

    @property
    def images_per_second(self) -> list[float]:
        """Images trained on in a second, for each turn."""
        return [self.batch / seconds for seconds in self.training_seconds]


def measure(experiments: Sequence[Experiment], batch: int, turns: int = TURNS) -> list[Measurement]:
    """Measure several networks in turns on random images; where memory does not suffice, with half the batch.

    Args:
        experiments: the networks, all of which are in memory at a time.
        batch: images a step.
        turns: measured turns, after one that warms up.

    Raises:
        TrainingError: not even one image fits.
    """
    while True:
        try:
            return _measure(experiments, batch, turns)
        except (MemoryError, RuntimeError, OSError) as error:
            if not out_of_memory(error):
                raise
            if batch == 1:
                raise TrainingError(memory_line(error, batch)) from error
        logger.warning("out of memory with batches of %d images: measured with %d", batch, batch // 2)
        batch //= 2
        _release()


def _measure(experiments: Sequence[Experiment], batch: int, turns: int) -> list[Measurement]:
    _memory_of(experiments[0], batch)  # the first network fills what libraries keep
    results = [Measurement(batch, *_memory_of(experiment, batch)) for experiment in experiments]
    probes = [Probe(experiment, batch) for experiment in experiments]
    steps = [(_repeats(probe.forward), _repeats(probe.step)) for probe in probes]  # warms up
    for _ in range(turns):
        for result, probe, (passes, updates) in zip(results, probes, steps, strict=True):
            result.forward_seconds.append(seconds_of(probe.forward, passes))
            result.training_seconds.append(seconds_of(probe.step, updates))
    return results


def _memory_of(experiment: Experiment, batch: int) -> tuple[Hardware, int | None]:
    """Return the choices and the peak memory of two training steps, of which the second has the optimiser's state."""
    _release()
    meter = MemoryMeter(on_gpu=torch.cuda.is_available())
    probe = Probe(experiment, batch)
    probe.step()
    probe.step()
    return probe.hardware, meter.peak_bytes()


def _repeats(step: Callable[[], None]) -> int:
    """Return how often a step is repeated in a turn, from its time after a first call."""
    step()
    return max(1, round(TURN_SECONDS / seconds_of(step, 1)))


def _release() -> None:
    """Hand back the memory of networks that are not needed any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def layer_seconds(probe: Probe, turns: int = TURNS) -> dict[str, list[float]]:
    """Measure the forward pass of each layer, without the layers that it calls.

    Waiting for the device after each layer makes the whole slower than it is; the shares are what this shows.

    Returns:
        Seconds by path, one value for each of `turns` passes after one that warms up.
    """
    passes = []
    for _ in range(turns + 1):
        with own_shares(probe.net, _now) as seconds:
            probe.forward()
        passes.append(seconds)
    return {path: [found[path] for found in passes[1:]] for path in passes[-1] if path}


def _now() -> float:
    """Return the time at which the device has done what it was asked to."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
