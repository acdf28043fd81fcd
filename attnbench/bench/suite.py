"""The suite of comparisons, its result as plain data, and what became slower since an earlier result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import torch
from PIL import Image

from attnbench.bench.comparison import Comparison
from attnbench.bench.loading import contestants
from attnbench.bench.loops import OWN, RANDOM, measure
from attnbench.bench.modules import compare, timm_pairs
from attnbench.errors import UserError
from attnbench.formatting import middle_half
from attnbench.runs.environment import environment
from attnbench.runs.files import read_json
from attnbench.training.hardware import choose_accelerator, device_name
from attnbench.training.speed_probe import alternate

SCHEMA = 1
LOOP_IMAGES = 1280
"""Images an epoch."""
MODULE_BATCH, MODULE_STEPS = 16, 3
FILES, SIDES = 96, (300, 400)
"""Number of image files that are made, and their height and width in pixels."""
SIDE = 128
"""Pixels of the images of `folder`."""
WORKERS, LOADING_BATCH = 2, 32
Found = dict[str, Comparison]


def loop(turns: int, folder: Path) -> Found:
    """Compare training with loops that are written by hand, on ResNet-20."""
    words = [*RANDOM, "backbone=resnet20", f"data.train_images={LOOP_IMAGES}", "trainer.progress=false"]
    return rivals("loop", words, turns, folder)


def from_folder(turns: int, folder: Path) -> Found:
    """Compare training from a folder of JPEG files with timm's loop, on ResNet-18."""
    train = folder / "set" / "train"
    make_images(train)
    words = [f"data.root={train.parent}", "data=image_folder", f"data.workers={WORKERS}", "data.cache=none"]
    sizes = [f"data.batch_size={LOADING_BATCH}", f"data.image_size={SIDE}", f"data.resize={SIDE}"]
    network = ["backbone=timm/resnet18", "trainer.progress=false", "callbacks=timm"]
    theirs = [f"callbacks.rivals.folder={train}", f"callbacks.rivals.workers={WORKERS}"]
    return rivals("folder", [*words, *sizes, *network, *theirs], turns, folder)


def rivals(part: str, words: Sequence[str], turns: int, folder: Path) -> Found:
    """Train with these overrides in turns with other loops, and compare with each of them."""
    seconds, _ = measure(words, turns, folder)
    return {f"{part}/{name}": Comparison(name, seconds[OWN], theirs) for name, theirs in seconds.items() if name != OWN}


def modules(turns: int, folder: Path) -> Found:
    """Compare modules with timm's, on one CPU thread."""
    del folder
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sizes = (MODULE_BATCH, MODULE_STEPS, turns)
    found = {f"modules/{name}": compare(pair, torch.channels_last, *sizes) for name, pair in timm_pairs().items()}
    torch.set_num_threads(threads)
    return found


def loading(turns: int, folder: Path) -> Found:
    """Compare the loader with torchvision's and webdataset's, on images that are made for it."""
    make_images(folder / "images")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    turn_of = contestants(folder / "images", WORKERS, LOADING_BATCH, device, folder)
    rates = alternate(list(turn_of.values()), turns)  # the first turn starts workers and fills caches
    seconds = {name: [FILES / rate for rate in found] for name, found in zip(turn_of, rates, strict=True)}
    own = [name for name in seconds if name.startswith("attnbench")]
    return {
        f"loading/{name.removeprefix('attnbench, ')}/{reference}": Comparison(reference, seconds[name], theirs)
        for reference, theirs in seconds.items()
        if reference in ("torchvision", "webdataset")
        for name in own
    }


def make_images(folder: Path) -> None:
    """Write JPEG files in two class folders; the images are smooth, as photographs are in the main."""
    generator = np.random.default_rng(0)
    for number in range(FILES):
        small = Image.fromarray(generator.integers(256, size=(24, 32, 3), dtype=np.uint8))
        path = folder / str(number % 2) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize(SIDES[::-1], Image.Resampling.BICUBIC).save(path)


PARTS: dict[str, Callable[[int, Path], Found]] = {
    "loop": loop,
    "folder": from_folder,
    "modules": modules,
    "loading": loading,
}
"""The parts of the suite, which take the number of turns and an empty folder."""


def result(found: Found) -> dict[str, Any]:
    """Return what was found as plain data, with machine and versions."""
    accelerator = choose_accelerator("auto")
    machine = {"device": device_name(accelerator), "threads": torch.get_num_threads()}
    cases = {name: asdict(comparison) for name, comparison in found.items()}
    return {"schema": SCHEMA, "machine": machine, "environment": environment().to_json(), "cases": cases}


def read(path: Path) -> dict[str, Any]:
    """Read a result. Raises `UserError` if the file holds none."""
    content = read_json(path)
    if content is None or content.get("schema") != SCHEMA:
        raise UserError(f"--against {path}: {'there is no such file' if content is None else 'is no result of it'}")
    return content


def drops(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name the cases that became slower, against their references, by more than the spread.

    A case did so if the middle halves of its ratios do not overlap. Ratios of one machine are compared: where the
    device differs, so may they.
    """
    return [
        f"{name}: {_ratio_text(new)} times as fast as {new.reference}, and was {_ratio_text(old)}"
        for name, old, new in _pairs(before, after)
        if quantiles(new.ratios, n=4)[2] < quantiles(old.ratios, n=4)[0]
    ]


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[tuple[str, Comparison, Comparison]]:
    common = [name for name in after["cases"] if name in before["cases"]]
    return [(name, Comparison(**before["cases"][name]), Comparison(**after["cases"][name])) for name in common]


def _ratio_text(comparison: Comparison) -> str:
    return middle_half(comparison.ratios, 2)
