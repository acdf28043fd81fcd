"""Measure the time of an epoch against batch, width, image size and parallel runs; write the table of docs/scaling.md.

    python scripts/scaling.py                                         # ResNet-20 on images of CIFAR-10's shape
    python scripts/scaling.py --common 'backbone=wrn16_4' --turns 9
    python scripts/scaling.py --batches 8,16 --widths 4,8 --sizes 16,32 --jobs 1,2 --turns 2 --page copy.md

Batches, widths and sizes are measured by training steps on random images, in turns, so a machine whose speed drifts
favours none. Parallel runs are real ones, of one epoch after one that warms up; their time is that of all images
together. Measure while nothing else runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import torch
from drawing import save
from marked_text import replace_between
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from attnbench.config.compose import compose
from attnbench.formatting import middle_half
from attnbench.training.experiment import Experiment
from attnbench.training.speed_probe import Probe, seconds_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
START, END = "<!-- scaling: scripts/scaling.py -->", "<!-- /scaling -->"
PICTURE = "images/scaling.svg"
IMAGES = 50_000
"""Images of an epoch."""
RUN_IMAGES = 2_560
"""Images of an epoch of the parallel runs."""
BATCH = 128
Series = dict[int, list[float]]
"""Seconds of an epoch in each turn, by the value of what is varied."""


def epochs_by_step(measured: Mapping[int, tuple[Probe, int]], turns: int) -> Series:
    """Return the seconds of an epoch of training steps in each turn; the first turn only warms up.

    Args:
        measured: what takes the steps, and the images of one, by the value of what is varied.
        turns: measured turns.
    """
    seconds: Series = {value: [] for value in measured}
    for turn in range(turns + 1):
        for value, (probe, batch) in measured.items():
            found = seconds_of(probe.step, 2) * IMAGES / batch
            if turn:
                seconds[value].append(found)
    return seconds


def probes(common: Sequence[str], values: Sequence[int], key: str) -> dict[int, tuple[Probe, int]]:
    """Return what takes training steps, and the images of one, for each value of `batch`, `width` or `image size`."""
    found = {}
    for value in values:
        words = [*common, f"backbone.width={value}"] if key == "width" else common
        experiment = Experiment(compose(words), value if key == "image size" else None)
        batch = value if key == "batch" else BATCH
        found[value] = Probe(experiment, batch), batch
    return found


def parallel(common: Sequence[str], jobs: int, turns: int) -> list[float]:
    """Return the seconds that `jobs` runs at a time need for an epoch's images together, in each turn."""
    images = ["data=cluttered_digits", "data.canvas=32", f"data.train_images={RUN_IMAGES}", "data.validation=0"]
    own = [*images, "data.test_images=100", "recipe.epochs=2", "logger=none"]
    others = [word for word in common if not word.startswith("data=")]
    found = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            words = [*others, *own, f"seed=range({jobs})", f"sweep.jobs={jobs}", f"output={folder}"]
            subprocess.run(
                [sys.executable, "-m", "attnbench", "train", "-m", *words], check=True, stdout=subprocess.DEVNULL
            )
            records = [json.loads(path.read_text()) for path in Path(folder).glob("runs/*/*/record.json")]
        found.append(IMAGES / sum(record["images_per_second"] for record in records))
    return found


def table(found: Mapping[str, Series], where: str) -> Iterator[str]:
    """Yield the lines of the page."""
    yield f"\nSeconds of training for {IMAGES:,} images, median of all turns (the middle half of them). {where}.\n\n"
    yield f"![Seconds of an epoch against batch, width, image size and parallel runs]({PICTURE})\n\n"
    yield "| varied | value | seconds | times the first |\n|---|---|---|---|\n"
    for name, series in found.items():
        first = next(iter(series.values()))
        for value, seconds in series.items():
            yield f"| {name} | {value} | {middle_half(seconds, 1)} | {median(seconds) / median(first):.2f} |\n"


def draw(found: Mapping[str, Series], path: Path) -> None:
    """Draw a plot for each of what is varied, on logarithmic axes."""
    figure = Figure((10, 2.8), facecolor="white", layout="constrained")
    for axes, (name, series) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        axes.loglog(list(series), [median(seconds) for seconds in series.values()], "o-", color="#0072b2")
        axes.set_xticks(list(series), map(str, series), minor=False)
        axes.set_xticks([], minor=True)
        axes.set(xlabel=name)
        axes.grid(visible=True, alpha=0.25)
    for number in (figure.axes[0].yaxis.set_major_formatter, figure.axes[0].yaxis.set_minor_formatter):
        number(LogFormatter(minor_thresholds=(2, 0.5)))  # plain numbers instead of powers of ten
    figure.axes[0].set_ylabel("seconds an epoch")
    save(figure, path)


def numbers(text: str) -> list[int]:
    """Read whole numbers that are separated by commas."""
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Measure everything, and write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--common", default="backbone=resnet20 data=cifar10", help="overrides of all configurations")
    parser.add_argument("--batches", type=numbers, default=[16, 32, 64, 128, 256, 512])
    parser.add_argument("--widths", type=numbers, default=[8, 16, 32, 64])
    parser.add_argument("--sizes", type=numbers, default=[16, 32, 64])
    parser.add_argument("--jobs", type=numbers, default=[1, 2, 4])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    common = arguments.common.split()
    varied = {"batch": arguments.batches, "width": arguments.widths, "image size": arguments.sizes}
    found = {key: epochs_by_step(probes(common, values, key), arguments.turns) for key, values in varied.items()}
    runs = max(1, arguments.turns // 3)
    found["runs at a time"] = {jobs: parallel(common, jobs, runs) for jobs in arguments.jobs}
    hardware = Probe(Experiment(compose(common)), 1).hardware
    where = f"{arguments.common}, {hardware.precision}, {hardware.device_name}, {hardware.threads} threads"
    replace_between(arguments.page, START, END, "".join(table(found, f"{where}, torch {torch.__version__}")))
    draw(found, arguments.page.parent / PICTURE)


if __name__ == "__main__":
    main()
