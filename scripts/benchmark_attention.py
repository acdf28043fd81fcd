"""What an attention costs in training: whole steps of several configurations on one backbone, in turns.

    python scripts/benchmark_attention.py                                   # GGAM's guide on ResNet-50, images of 224
    python scripts/benchmark_attention.py --common 'backbone=wrn16_4 data=cifar100' --batch 128 \
        'attention=gated attention.form=direct' attention=gated attention=none

Each configuration is a list of overrides; the first one is what the others are compared with. A turn runs a few steps
of each, so that a machine whose speed drifts favours none, and each ratio is taken within a turn. Images are random.
Measure while nothing else runs.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from benchmark_training import spread

from attnbench.build import build_model, build_model_on_meta
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.terminal import make_console, make_table
from attnbench.training.hardware import Hardware, resolve
from attnbench.training.plan import make_recipe, make_trainer_options
from attnbench.training.recipe import make_optimizer

GUIDE = ["attention=ggam attention.lambda=0", "attention=ggam attention.lambda=1"]
"""The method without and with its guide: what the gradient of the class score costs."""


def make_step(overrides: Sequence[str], batch: int) -> tuple[Callable[[], None], Hardware]:
    """A function that takes one training step, and the settings chosen for the machine."""
    config = compose(overrides)
    data = build_data(config)
    hardware = resolve(make_trainer_options(config), build_model_on_meta(config, data), None)
    torch.set_num_threads(hardware.threads)
    device = torch.device(hardware.device_type)
    layout = torch.channels_last if hardware.channels_last else torch.contiguous_format
    net = build_model(config, data).to(device).to(memory_format=layout)
    optimizer = make_optimizer(net, make_recipe(config))
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
    """Seconds of one step, the mean of a few."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else torch.cpu.synchronize
    wait()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - started) / steps


def show(seconds: dict[str, list[float]], title: str) -> None:
    """Print each configuration's step and how much longer it is than the first one's."""
    table = make_table(title, caption="median of all turns (the middle half of them)")
    for heading in ("configuration", "ms a step", "of the first"):
        table.add_column(heading, justify="left" if heading == "configuration" else "right")
    first = next(iter(seconds.values()))
    for name, values in seconds.items():
        ratios = [own / other for own, other in zip(values, first, strict=True)]
        table.add_row(name, spread([1000 * value for value in values], 1), spread(ratios, 3))
    make_console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configurations", nargs="*", default=GUIDE, help="overrides, in quotes")
    parser.add_argument("--common", default="backbone=resnet50 data=imagenet", help="overrides of all configurations")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2, help="steps of each configuration in a turn")
    parser.add_argument("--turns", type=int, default=15)
    arguments = parser.parse_args()
    made = {words: make_step([*arguments.common.split(), *words.split()], arguments.batch)
            for words in arguments.configurations}  # fmt: skip
    seconds: dict[str, list[float]] = {words: [] for words in made}
    for turn in range(arguments.turns + 1):
        for words, (step, _) in made.items():
            value = seconds_of(step, arguments.steps)
            if turn > 0:  # the first turn warms up
                seconds[words].append(value)
    hardware = next(iter(made.values()))[1]
    where = f"{hardware.precision}, {hardware.device_name}, {hardware.threads} threads, torch {torch.__version__}"
    show(seconds, f"{arguments.common}, batches of {arguments.batch}; {where}")


if __name__ == "__main__":
    main()
