"""Measure how fast images are read, decoded and cropped: attnbench's loader against torchvision's, in turns.

    python scripts/benchmark_loading.py ROOT      # ROOT: a folder of class folders with images

Every contestant makes normalised training batches of the same images: random resized crops of 224 pixels with flips.
attnbench makes them in the precision and layout in which it trains on the device, torchvision in single precision.

- cold: attnbench decodes every file; ram, disk: it finds the decoded images in a warm cache;
- torchvision: `ImageFolder` and a `DataLoader` with as many workers; each file is decoded, resized to 256 pixels and
  cropped. `torchvision, from the file` crops before resizing, as torchvision's recipes do.

The contestants take turns in one run, so a machine whose speed drifts favours none. Measure while nothing else runs,
and with the files in the system's cache (the first turn, which does not count, puts them there).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from attnbench.config.compose import compose
from attnbench.console import make_console, make_table
from attnbench.construct import build_data
from attnbench.data.bases.dataset import DataSet
from attnbench.formatting import middle_half
from attnbench.training.datamodule import RunData
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, resolve, set_up

Turn = Callable[[int], float]
"""A function that makes the batches of the epoch with the given number and returns images per second."""


def rate(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], device: torch.device) -> float:
    """Make batches, bring them to the device, and return images per second."""
    started, images = time.perf_counter(), 0
    for pictures, labels in batches:
        pictures.to(device, non_blocking=True)
        images += len(labels)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return images / (time.perf_counter() - started)


def streamed(data: DataSet, hardware: Hardware, device: torch.device) -> Turn:
    """Return a turn of attnbench's loader."""
    pipeline = RunData(data, hardware, 0, ("train",)).loaders["train"]
    return lambda number: rate(pipeline.epoch(number), device)


def usual(folder: Path, workers: int, batch_size: int, device: torch.device, resized: bool) -> Turn:
    """Return a turn of torchvision's loader.

    Args:
        resized: resize images to 256 pixels before they are cropped.
    """
    first = [transforms.Resize(256)] if resized else []
    steps = [
        *first,
        transforms.RandomResizedCrop(224),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    loader = DataLoader(
        ImageFolder(str(folder), transforms.Compose(steps)),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    return lambda number: rate(((images, labels) for images, labels in loader), device)


def contestants(root: Path, workers: int, batch_size: int, device: torch.device, folder: Path) -> dict[str, Turn]:
    """Return a turn of each contestant, by name."""
    (folder / "set").mkdir()
    (folder / "set" / "train").symlink_to(root.absolute(), target_is_directory=True)
    os.environ["ATTNBENCH_CACHE"] = str(folder / "cache")
    options = [f"data.root={folder / 'set'}", f"data.workers={workers}", f"data.batch_size={batch_size}"]

    accelerator = f"trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}"
    hardware = resolve(Experiment(compose([accelerator])).options, torch.nn.Identity())
    set_up(hardware)

    def ours(cache: str) -> Turn:
        return streamed(build_data(compose(["data=image_folder", *options, f"data.cache={cache}"])), hardware, device)

    names = {"none": "attnbench, cold", "ram": "attnbench, ram", "disk": "attnbench, disk"}
    turns = {name: ours(cache) for cache, name in names.items()}
    common = (root, workers, batch_size, device)
    turns["torchvision"] = usual(*common, resized=True)
    turns["torchvision, from the file"] = usual(*common, resized=False)
    return turns


def show(rates: dict[str, list[float]], title: str) -> None:
    """Print the speed of each contestant, and its ratio to torchvision's within a turn."""
    table = make_table(title, caption="median of all turns (the middle half of them)")
    for heading in ("", "img/s", "times torchvision"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(values, rates["torchvision"], strict=True)]
        table.add_row(name, middle_half(values, 0), middle_half(ratios, 2))
    make_console().print(table)


def main() -> None:
    """Measure all contestants on a folder of images and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a folder of class folders with images")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device, rates = torch.device(arguments.device), dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as name:
        turns = contestants(arguments.root, arguments.workers, arguments.batch_size, device, Path(name))
        for number in range(arguments.turns + 1):
            for who, turn in turns.items():
                found = turn(number)
                if number:  # the first turn starts workers and fills caches
                    rates.setdefault(who, []).append(found)
    show(rates, f"{arguments.workers} workers, batches of {arguments.batch_size}, {device}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
