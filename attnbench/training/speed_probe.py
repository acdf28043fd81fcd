"""Measure training speed with a few steps on random images, before a run starts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from attnbench.backbones.evaluation_mode import evaluating
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, on_device_layout, resolve, set_up
from attnbench.training.metrics import total
from attnbench.training.optimizers import make_optimizer

PART_OF_BATCH = 4
"""On a CPU a part of a batch shows the same speed per image, and takes less time."""
SMALLEST_BATCH = 8
ENOUGH_SECONDS = 1.0


class Probe:
    """A network that takes training steps and forward passes on one batch of random images.

    Args:
        experiment: the run to be measured.
        batch: images a step.
        compiled: whether and how the features are compiled, see `Hardware`.

    Attributes:
        hardware: the choices that it computes with.
    """

    def __init__(self, experiment: Experiment, batch: int, compiled: bool | str = False) -> None:
        hardware = replace(resolve(experiment.options, experiment.blueprint), compile=compiled)
        device = torch.device(hardware.device_type)
        self.task, self.recipe = experiment.task, experiment.recipe
        self.net = on_device_layout(experiment.build_network().to(device), hardware)
        size = experiment.image_size
        self.images = torch.randn(batch, experiment.data.channels, size, size, device=device)
        self.classes = experiment.data.num_classes
        self.use(hardware)

    def use(self, hardware: Hardware) -> None:
        """Compute with other choices from now on, on the same device, compiled as before or not."""
        self.hardware = hardware
        set_up(hardware)
        layout = torch.channels_last if hardware.channels_last else torch.contiguous_format
        self.net = self.net.to(memory_format=layout)
        self.images = self.images.contiguous(memory_format=layout)
        self.optimizer = make_optimizer(self.net, self.recipe)

    def step(self) -> None:
        """Take one training step."""
        with self._autocast():
            loss = total(self.task.probe_losses(self.net, self.images, self.classes))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def forward(self) -> None:
        """Compute predictions for the images as an evaluation does."""
        with evaluating(self.net), self._autocast():
            self.task.probe_forward(self.net, self.images)

    def _autocast(self) -> torch.autocast:
        bf16 = self.hardware.precision == "bf16"
        return torch.autocast(self.hardware.device_type, dtype=torch.bfloat16, enabled=bf16)


def seconds_of(step: Callable[[], None], steps: int) -> float:
    """Return the mean seconds of one step over `steps` steps."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else torch.cpu.synchronize
    wait()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - started) / steps


def alternate(actions: Sequence[Callable[[], float]], turns: int) -> list[list[float]]:
    """Return the values of actions that are done in turns, so that a machine whose speed drifts favours none.

    One turn more, before the others, warms up and does not count.
    """
    values = [[action() for action in actions] for _ in range(turns + 1)][1:]
    return [list(column) for column in zip(*values, strict=True)]


def probe_batch(batch_size: int) -> int:
    """Return the number of images that shows the speed of a batch: all on a GPU, a part of them on a CPU."""
    on_gpu = torch.cuda.is_available()
    return batch_size if on_gpu else min(batch_size, max(SMALLEST_BATCH, batch_size // PART_OF_BATCH))


def images_per_second(experiment: Experiment) -> float:
    """Return the training speed, from about a second of steps after one that warms up."""
    batch = probe_batch(experiment.data.batch_size)
    probe = Probe(experiment, batch)
    first = seconds_of(probe.step, 1)
    return batch / seconds_of(probe.step, max(1, min(20, int(ENOUGH_SECONDS / first))))
