"""Measure what attention adds to a training step: whole steps of several configurations on one backbone, in turns.

    python scripts/benchmark_attention.py                                   # GGAM's guide on ResNet-50, images of 224
    python scripts/benchmark_attention.py --common 'backbone=wrn16_4 data=cifar100' --batch 128 \
        'attention=gated attention.form=direct' attention=gated attention=none
    python scripts/benchmark_attention.py --modules                         # single modules against timm's

Each configuration is a list of overrides; all are compared with the first one. A turn runs a few steps of each, and
each ratio is taken within a turn, so a machine whose speed drifts favours none. Images are random. Measure while
nothing else runs.

With `--modules`, forward and backward passes of the baselines' modules are compared with timm's of the same method and
options, in CPU time and on one thread, which other processes disturb less.
"""

import argparse

import torch

from attnbench.bench.attention import step_seconds
from attnbench.bench.modules import compare, timm_pairs
from attnbench.console import make_console, make_table
from attnbench.formatting import middle_half

GUIDE = ["attention=ggam attention.lambda=0", "attention=ggam attention.lambda=1"]
"""GGAM without and with its guide: the difference is the cost of the class score's gradient."""


def show(seconds: dict[str, list[float]], title: str) -> None:
    """Print the time of each configuration's step, and its ratio to that of the first configuration."""
    table = make_table(title, caption="median of all turns (the middle half of them)")
    for heading in ("configuration", "ms a step", "of the first"):
        table.add_column(heading, justify="left" if heading == "configuration" else "right")
    first = next(iter(seconds.values()))
    for name, values in seconds.items():
        ratios = [own / other for own, other in zip(values, first, strict=True)]
        table.add_row(name, middle_half([1000 * value for value in values], 1), middle_half(ratios, 3))
    make_console().print(table)


def compare_modules(batch: int, steps: int, turns: int) -> None:
    """Print the time of each module of ours and of timm's, and their ratio, in both memory formats."""
    torch.set_num_threads(1)
    table = make_table(f"modules on 16x16, batches of {batch}; CPU, 1 thread, torch {torch.__version__}",
                       caption="median of all turns (the middle half of them)")  # fmt: skip
    for heading in ("module", "format", "ms, ours", "ms, timm's", "times as fast"):
        table.add_column(heading, justify="left" if heading in ("module", "format") else "right")
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for name, pair in timm_pairs().items():
            found = compare(pair, memory_format, batch, steps, turns)
            both = (found.seconds, found.reference_seconds)
            times = (middle_half([1000 * value for value in values], 2) for values in both)
            table.add_row(name, str(memory_format).removeprefix("torch."), *times, middle_half(found.ratios, 3))
    make_console().print(table)


def main() -> None:
    """Measure the configurations on the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configurations", nargs="*", default=GUIDE, help="overrides, in quotes")
    parser.add_argument("--common", default="backbone=resnet50 data=imagenet", help="overrides of all configurations")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2, help="steps of each configuration in a turn")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--modules", action="store_true", help="compare single modules with timm's instead")
    arguments = parser.parse_args()
    if arguments.modules:
        compare_modules(arguments.batch, arguments.steps, arguments.turns)
        return
    configurations = {words: [*arguments.common.split(), *words.split()] for words in arguments.configurations}
    seconds, hardware = step_seconds(configurations, arguments.batch, arguments.steps, arguments.turns)
    where = f"{hardware.precision}, {hardware.device_name}, {hardware.threads} threads, torch {torch.__version__}"
    show(seconds, f"{arguments.common}, batches of {arguments.batch}; {where}")


if __name__ == "__main__":
    main()
