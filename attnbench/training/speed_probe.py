"""Measure training speed with a few steps on random images, before a run starts."""

import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, resolve, set_up
from attnbench.training.optimizers import make_optimizer

PART_OF_BATCH = 4
"""On a CPU a part of a batch shows the same speed per image, and takes less time."""
SMALLEST_BATCH = 8
ENOUGH_SECONDS = 1.0


def make_step(experiment: Experiment, batch: int) -> tuple[Callable[[], None], Hardware]:
    """Build a function that takes one training step on random images.

    Args:
        experiment: the run to be estimated.
        batch: images a step.

    Returns:
        The function, and the hardware choices it computes with.
    """
    data = experiment.data
    hardware = resolve(experiment.options, experiment.blueprint)
    set_up(hardware)
    device = torch.device(hardware.device_type)
    layout = torch.channels_last if hardware.channels_last else torch.contiguous_format
    net = experiment.build_network().to(device).to(memory_format=layout)
    optimizer = make_optimizer(net, experiment.recipe)
    images = torch.randn(batch, data.channels, data.image_size, data.image_size, device=device)
    images = images.contiguous(memory_format=layout)
    labels = torch.arange(batch, device=device) % data.num_classes
    bf16 = hardware.precision == "bf16"

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext():
            loss = torch.stack(list(net.losses(net.output(images), labels).values())).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, hardware


def seconds_of(step: Callable[[], None], steps: int) -> float:
    """Return the mean seconds of one step over `steps` steps."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else torch.cpu.synchronize
    wait()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - started) / steps


def images_per_second(experiment: Experiment) -> float:
    """Return the training speed, from about a second of steps after one that warms up."""
    size = experiment.data.batch_size
    on_gpu = torch.cuda.is_available()
    batch = size if on_gpu else min(size, max(SMALLEST_BATCH, size // PART_OF_BATCH))
    step, _ = make_step(experiment, batch)
    first = seconds_of(step, 1)
    return batch / seconds_of(step, max(1, min(20, int(ENOUGH_SECONDS / first))))
