"""The suite of comparisons, its result as plain data, and what became slower since an earlier result."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import torch
from PIL import Image

from attnbench.bench.attention import NONE, methods, step_seconds
from attnbench.bench.comparison import Comparison
from attnbench.bench.host import PLAIN, RECIPES, host_seconds
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
HOST_STEPS = 500
"""Batches an epoch where nothing is computed."""
MODULE_BATCH, MODULE_STEPS = 16, 3
ATTENTION_BATCH, ATTENTION_STEPS = 32, 2
FILES, SIDES = 512, (300, 400)
"""Number of image files that are made, and their height and width in pixels.

An epoch has 16 batches then; with few, what counts is how workers begin an epoch.
"""
SIDE = 128
"""Pixels of the images of `folder`."""
WORKERS, LOADING_BATCH = 2, 32
Found = dict[str, Comparison]


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        turns: measured turns.
        files: image files that are read in an epoch.
    """

    turns: int
    files: int = FILES


def loop(size: Size, folder: Path) -> Found:
    """Compare training with loops that are written by hand, on ResNet-20."""
    words = [*RANDOM, "backbone=resnet20", f"data.train_images={LOOP_IMAGES}", "trainer.progress=false"]
    return rivals("loop", words, size.turns, folder)


def host(size: Size, folder: Path) -> Found:
    """Compare training with next to no computation with the plain loop: with a plain recipe, and with every option."""
    epochs = {name: host_seconds(words, HOST_STEPS, size.turns, folder) for name, words in RECIPES.items()}
    return {f"host/{name}": Comparison(PLAIN, *seconds, steps=HOST_STEPS) for name, seconds in epochs.items()}


def from_folder(size: Size, folder: Path) -> Found:
    """Compare training from a folder of JPEG files with timm's loop, on ResNet-18."""
    train = folder / "set" / "train"
    make_images(train, size.files)
    words = [f"data.root={train.parent}", "data=image_folder", f"data.workers={WORKERS}", "data.cache=none"]
    sizes = [f"data.batch_size={LOADING_BATCH}", f"data.image_size={SIDE}", f"data.resize={SIDE}"]
    network = ["backbone=timm/resnet18", "trainer.progress=false", "callbacks=timm"]
    theirs = [f"callbacks.rivals.folder={train}", f"callbacks.rivals.workers={WORKERS}"]
    return rivals("folder", [*words, *sizes, *network, *theirs], size.turns, folder)


def rivals(part: str, words: Sequence[str], turns: int, folder: Path) -> Found:
    """Train with these overrides in turns with other loops, and compare with each of them."""
    seconds, _ = measure(words, turns, folder)
    return {f"{part}/{name}": Comparison(name, seconds[OWN], theirs) for name, theirs in seconds.items() if name != OWN}


def modules(size: Size, folder: Path) -> Found:
    """Compare modules with timm's, on one CPU thread."""
    del folder
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sizes = (MODULE_BATCH, MODULE_STEPS, size.turns)
    found = {f"modules/{name}": compare(pair, torch.channels_last, *sizes) for name, pair in timm_pairs().items()}
    torch.set_num_threads(threads)
    return found


def attention(size: Size, folder: Path) -> Found:
    """Compare training steps of ResNet-20 with each attention with those without, on images as CIFAR's."""
    del folder
    words = {name: ["backbone=resnet20", "data=cifar10", f"attention={name}"] for name in (NONE, *methods())}
    seconds, _ = step_seconds(words, ATTENTION_BATCH, ATTENTION_STEPS, size.turns)
    return {f"attention/{name}": Comparison(NONE, seconds[name], seconds[NONE]) for name in methods()}


def loading(size: Size, folder: Path) -> Found:
    """Compare the loader with torchvision's and webdataset's, on images that are made for it."""
    make_images(folder / "images", size.files)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    turn_of = contestants(folder / "images", WORKERS, LOADING_BATCH, device, folder)
    rates = alternate(list(turn_of.values()), size.turns)  # the first turn starts workers and fills caches
    seconds = {name: [size.files / rate for rate in found] for name, found in zip(turn_of, rates, strict=True)}
    own = [name for name in seconds if name.startswith("attnbench")]
    return {
        f"loading/{name.removeprefix('attnbench, ')}/{reference}": Comparison(reference, seconds[name], theirs)
        for reference, theirs in seconds.items()
        if reference in ("torchvision", "webdataset")
        for name in own
    }


def make_images(folder: Path, count: int) -> None:
    """Write `count` JPEG files in two class folders; the images are smooth, as photographs are in the main."""
    generator = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(generator.integers(256, size=(24, 32, 3), dtype=np.uint8))
        path = folder / str(number % 2) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize(SIDES[::-1], Image.Resampling.BICUBIC).save(path)


PARTS: dict[str, Callable[[Size, Path], Found]] = {
    "loop": loop,
    "host": host,
    "folder": from_folder,
    "modules": modules,
    "attention": attention,
    "loading": loading,
}
"""The parts of the suite, which take an empty folder."""


def machine() -> dict[str, Any]:
    """Return what speeds depend on, to be asked before anything is measured: a run chooses its threads itself."""
    return {"device": device_name(choose_accelerator("auto")), "threads": torch.get_num_threads()}


def result(found: Found, machine: Mapping[str, Any], files: int = FILES) -> dict[str, Any]:
    """Return what was found on a machine as plain data, with versions; `files` as in `Size`."""
    cases = {name: asdict(comparison) for name, comparison in found.items()}
    where = {"machine": dict(machine), "files": files, "environment": environment().to_json()}
    return {"schema": SCHEMA, **where, "cases": cases}


def read(path: Path) -> dict[str, Any]:
    """Read a result. Raises `UserError` if the file holds none."""
    content = read_json(path)
    if content is None or content.get("schema") != SCHEMA:
        raise UserError(f"--against {path}: {'there is no such file' if content is None else 'is no result of it'}")
    return content


def drops(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name the cases that became slower, against their references, by more than the spread.

    A case did so if the middle halves of its ratios do not overlap. Results of another machine or size name none: see
    `differs`.
    """
    if differs(before, after):
        return []
    return [
        f"{name}: {_ratio_text(new)} times as fast as {new.reference}, and was {_ratio_text(old)}"
        for name, old, new in _pairs(before, after)
        if quantiles(new.ratios, n=4)[2] < quantiles(old.ratios, n=4)[0]
    ]


def differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return in words why ratios of two results do not compare; empty if they do."""
    if before["machine"] != after["machine"]:
        return f"is of another machine: {', '.join(f'{key} {value}' for key, value in before['machine'].items())}"
    if before.get("files") != after["files"]:
        return f"is of another number of files: {before.get('files', 'not known')}"
    return ""


def vanished(before: Mapping[str, Any], after: Mapping[str, Any], parts: Collection[str]) -> list[str]:
    """Return the cases of an earlier result that are missing, of the parts that were asked for."""
    return [name for name in before["cases"] if name not in after["cases"] and name.partition("/")[0] in parts]


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[tuple[str, Comparison, Comparison]]:
    common = [name for name in after["cases"] if name in before["cases"]]
    return [(name, Comparison(**before["cases"][name]), Comparison(**after["cases"][name])) for name in common]


def _ratio_text(comparison: Comparison) -> str:
    return middle_half(comparison.ratios, 2)
