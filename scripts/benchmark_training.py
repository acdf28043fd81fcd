"""Measure how fast training is: `attnbench train`, a plain loop over the same batches, and the usual loop, in turns.

    python scripts/benchmark_training.py                       # ResNet-20 on images of CIFAR-10's shape
    python scripts/benchmark_training.py --backbone wrn28_10 --images 12800

Speed does not depend on what the images show, so they are random. `attnbench train` runs as usual, with metrics,
checkpoints and TensorBoard. Between its epochs, a callback runs an epoch of each other loop, and each ratio is taken
within a turn, so a machine whose speed drifts favours none. Measure while nothing else runs.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from attnbench.bench.comparison import Comparison
from attnbench.bench.host import PLAIN, RECIPES, host_seconds
from attnbench.bench.loops import OWN, RANDOM, measure
from attnbench.console import make_console, make_table
from attnbench.formatting import middle_half

STEPS = 500
"""Batches of an epoch where nothing is computed."""


def show_speed(seconds: dict[str, list[float]], images: int, title: str) -> None:
    """Print the speed of each loop, and how many times as fast attnbench is within a turn."""
    table = make_table(title, caption="median of all turns (the middle half of them)")
    for heading in ("loop", "img/s", "attnbench is so many times as fast"):
        table.add_column(heading, justify="left" if heading == "loop" else "right")
    for name, values in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(values, seconds[OWN], strict=True)]
        table.add_row(name, middle_half([images / value for value in values], 0), middle_half(ratios, 3))
    make_console().print(table)


def show_overhead(recipe: str, found: Comparison) -> None:
    """Print the time that attnbench adds to a batch with next to no computation."""
    plain = [1000 * value / found.steps for value in found.reference_seconds]
    added = middle_half(found.added_milliseconds, 3)
    print(f"no computation, {recipe}: plain {middle_half(plain, 3)} ms a batch, attnbench adds {added} ms")


def main() -> None:
    """Measure speed and overhead, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet20")
    parser.add_argument("--images", type=int, default=2560, help="images an epoch")
    parser.add_argument("--turns", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [*RANDOM, f"backbone={arguments.backbone}", f"data.train_images={arguments.images}"]
        seconds, chosen = measure(words, arguments.turns, folder)
        layout = "channels_last" if chosen["channels_last"] else "channels first"
        where = f"{chosen['device_name']}, {chosen['threads']} threads, torch {torch.__version__}"
        title = f"{arguments.backbone}, batches of 128 of 32x32, {chosen['precision']}, {layout}; {where}"
        show_speed(seconds, arguments.images, title)
        for recipe, options in RECIPES.items():
            seconds_of_both = host_seconds(options, STEPS, 3 * arguments.turns, folder)
            show_overhead(recipe, Comparison(PLAIN, *seconds_of_both, steps=STEPS))


if __name__ == "__main__":
    main()
