"""Loaders of images that take turns: attnbench's, torchvision's and webdataset's.

Every contestant makes normalised training batches of the same images: random resized crops of 224 pixels with flips.
attnbench makes them in the precision and layout in which it trains on the device, torchvision in single precision.

- cold: attnbench decodes every file; ram, disk: it finds the decoded images in a warm cache;
- torchvision: `ImageFolder` and a `DataLoader` with as many workers; each file is decoded, resized to 256 pixels and
  cropped. `torchvision, from the file` crops before resizing, as torchvision's recipes do;
- webdataset, where it is installed: the same steps as torchvision, on the files in tar shards.
"""

import os
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.dataset import DataSet
from attnbench.training.datamodule import RunData
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware, resolve, set_up

Turn = Callable[[], float]
"""A function that makes the batches of the next epoch and returns images per second."""


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
    numbers = count()
    return lambda: rate(pipeline.epoch(next(numbers)), device)


def usual(folder: Path, workers: int, batch_size: int, device: torch.device, resized: bool) -> Turn:
    """Return a turn of torchvision's loader.

    Args:
        resized: resize images to 256 pixels before they are cropped.
    """
    loader = DataLoader(
        ImageFolder(str(folder), crops(resized)),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    return lambda: rate(((images, labels) for images, labels in loader), device)


def crops(resized: bool) -> transforms.Compose:
    """Return torchvision's steps from an image to a normalised crop; `resized`: of the image at 256 pixels."""
    first = [transforms.Resize(256)] if resized else []
    steps = [
        *first,
        transforms.RandomResizedCrop(224),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    return transforms.Compose(steps)


def sharded(root: Path, workers: int, batch_size: int, device: torch.device, folder: Path) -> Turn:
    """Return a turn of webdataset's loader on as many tar files as workers, which it writes to a folder."""
    import webdataset

    urls = write_shards(ImageFolder(str(root)), max(1, workers), folder)
    options = {"shardshuffle": len(urls), "nodesplitter": webdataset.split_by_node, "empty_check": False}
    shuffled = webdataset.WebDataset(urls, **options).shuffle(1000).decode("pil").to_tuple("jpg", "cls")
    batches = shuffled.map_tuple(crops(resized=True), int).batched(batch_size)
    loader = webdataset.WebLoader(batches, batch_size=None, num_workers=workers, persistent_workers=workers > 0)
    return lambda: rate(loader, device)


def write_shards(images: ImageFolder, count: int, folder: Path) -> list[str]:
    """Write the files of images and their labels in turns to `count` tar files, and return their paths."""
    import webdataset

    paths = [str(folder / f"{number}.tar") for number in range(count)]
    folder.mkdir()
    for number, path in enumerate(paths):
        with webdataset.TarWriter(path) as shard:
            for index in range(number, len(images.samples), count):
                file, label = images.samples[index]
                shard.write({"__key__": str(index), "jpg": Path(file).read_bytes(), "cls": label})
    return paths


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
    if find_spec("webdataset"):
        turns["webdataset"] = sharded(*common, folder / "shards")
    else:
        print("webdataset is not installed: left out")
    return turns
