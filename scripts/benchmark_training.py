"""How fast training is: `attnbench train`, a plain loop over the same batches, and the usual loop, in turns.

    python scripts/benchmark_training.py                       # ResNet-20 on images of CIFAR-10's shape
    python scripts/benchmark_training.py --backbone wrn28_10 --images 50000

Speed does not depend on what the images show, so they are random. The three loops take turns, so that a machine whose
speed drifts does not favour one of them; each ratio is taken within a round. Measure while nothing else runs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from attnbench.backbones.base import Backbone, Taps
from attnbench.build import build_model
from attnbench.config.check import RunConfig
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.base import Arrays, DataSet, Split
from attnbench.runs.folder import Job
from attnbench.terminal import make_console, make_table
from attnbench.training import assembly
from attnbench.training.hardware import Hardware, resolve
from attnbench.training.plan import make_recipe, make_trainer_options, plan
from attnbench.training.recipe import make_optimizer
from attnbench.training.train import train

CONFIGS = {
    "data/random_images.yaml": """
        defaults: [family/resident@_here_]
        _target_: benchmark_training.RandomImages
        train_images: 12800
        size: 32
        padding: 4
        flip: true
        mean: [0.5, 0.5, 0.5]
        std: [0.25, 0.25, 0.25]
    """,
    "backbone/nothing.yaml": "_target_: benchmark_training.Nothing",
}


class RandomImages(DataSet):
    """Colour images without meaning, in ten classes."""

    channels = 3
    classes = tuple("0123456789")

    def __init__(self, train_images: int, size: int, **options: Any) -> None:
        self.train_images, self.image_size = train_images, size
        super().__init__(**options)

    def fingerprint(self) -> str:
        return "random"

    def load(self, split: Split) -> Arrays:
        count = self.train_images if split == "train" else 100
        generator = np.random.default_rng(0)
        shape = (count, self.image_size, self.image_size, self.channels)
        return Arrays(generator.integers(256, size=shape, dtype=np.uint8), generator.integers(10, size=count))


class Nothing(Backbone):
    """Next to no computation: what is left of a step's time is the loop's own."""

    def __init__(self, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        self.num_classes, self.stages, self.bottlenecks = num_classes, (), ()
        self.classifier = nn.Linear(in_channels, num_classes)
        self.register_points()

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        return x


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images one at a time through PIL, as most code reads CIFAR."""

    def __init__(self, arrays: Arrays, data: DataSet) -> None:
        crop = transforms.RandomCrop(data.image_size, padding=data.augmentation.padding)
        normalise = transforms.Normalize(data.mean, data.std)
        steps = [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalise]
        self.arrays, self.transform = arrays, transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays.images[index])), int(self.arrays.labels[index])


def run_epoch(
    net: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[Any], device: torch.device, bf16: bool
) -> float:
    """A training epoch as one writes it by hand; returns its seconds."""
    started = time.perf_counter()
    total = torch.zeros((), device=device)
    for images, labels in batches:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(net(images.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.detach()
    total.item()  # waits for the device
    return time.perf_counter() - started


def plain_loop(job: Job, data: DataSet, hardware: Hardware) -> Callable[[int], float]:
    """The loop that is hard to beat: the same network, batches and precision, and nothing around."""
    net = assembly.make_net(job, data, hardware, compiled=False)
    pipeline = assembly.make_pipelines(data, hardware, seed=0)["train"]
    device = pipeline.placement.device
    net = net.to(device)
    optimizer = make_optimizer(net, make_recipe(job.config))
    return lambda number: run_epoch(net, optimizer, pipeline.epoch(number), device, hardware.precision == "bf16")


def usual_loop(job: Job, data: DataSet, hardware: Hardware) -> Callable[[int], float]:
    """What most code does: a DataLoader with two workers, PIL, single precision, channels first."""
    device = torch.device(hardware.device_type)
    torch.manual_seed(0)
    net = assembly.make_net(job, data, replace(hardware, channels_last=False), compiled=False).to(device)
    pictures = Pictures(data.load("train"), data)
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "pin_memory": device.type == "cuda"}
    loader = DataLoader(pictures, data.batch_size, shuffle=True, drop_last=True, **options)
    optimizer = make_optimizer(net, make_recipe(job.config))
    return lambda number: run_epoch(net, optimizer, loader, device, bf16=False)


def own_loop(config: RunConfig) -> Callable[[int], float]:
    """`attnbench train` with all that it does beside: metrics, checkpoints, TensorBoard. Its second epoch counts."""

    def run(number: int) -> float:
        job = plan(RunConfig({**config.values, "seed": number}, config.choices, config.identity))
        record = train(job)
        return (record["images"] / record["epochs"]) / float(record["images_per_second"])

    return run


def measure(words: list[str], rounds: int, folder: Path, usual: bool) -> tuple[dict[str, list[float]], Hardware, int]:
    """Seconds of an epoch by loop, one a round; the hardware's settings; images an epoch."""
    common = ["data=random_images", "recipe.epochs=2", "logger=tensorboard", f"output={folder}"]
    config = compose([*common, *words], str(folder))
    data, job = build_data(config), plan(config)
    torch.manual_seed(0)
    hardware = resolve(make_trainer_options(config), build_model(config, data))
    loops = {"attnbench train": own_loop(config), "plain loop": plain_loop(job, data, hardware)}
    if usual:
        loops["usual loop"] = usual_loop(job, data, hardware)
    for name, loop in loops.items():
        if name != "attnbench train":
            loop(0)  # warms up, as its first epoch does for attnbench
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(1, rounds + 1):
        for name, loop in loops.items():
            seconds[name].append(loop(number))
    return seconds, hardware, data.train_images


def spread(values: list[float], digits: int) -> str:
    """Median, and least to greatest."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def show(seconds: dict[str, list[float]], images: int, title: str) -> None:
    """Print each loop's speed and, within a round, how many times as fast attnbench is."""
    table = make_table(title)
    for heading in ("loop", "img/s", "attnbench train is so many times as fast"):
        table.add_column(heading, justify="left" if heading == "loop" else "right")
    own = seconds["attnbench train"]
    for name, values in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(values, own, strict=True)]
        table.add_row(name, spread([images / value for value in values], 0), spread(ratios, 3))
    make_console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet20")
    parser.add_argument("--images", type=int, default=12_800, help="images an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in CONFIGS.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text("\n".join(line.strip() for line in text.strip().splitlines()))
        words = [f"backbone={arguments.backbone}", f"data.train_images={arguments.images}"]
        seconds, hardware, images = measure(words, arguments.rounds, folder, usual=True)
        settings = f"{hardware.precision}, {'channels_last' if hardware.channels_last else 'channels first'}"
        where = f"{hardware.device_name}, {hardware.threads} threads, torch {torch.__version__}"
        show(seconds, images, f"{arguments.backbone}, batches of 128 of 32x32, {settings}; {where}")
        steps, rounds = 4000, 2 * arguments.rounds + 1
        words = ["backbone=nothing", "data.batch_size=4", f"data.train_images={4 * steps}", "data.size=4"]
        seconds, _, _ = measure(words, rounds, folder, usual=False)
        pairs = zip(seconds["attnbench train"], seconds["plain loop"], strict=True)
        overhead = [(ours - theirs) / steps * 1000 for ours, theirs in pairs]
        print(
            f"no computation: plain {spread([s / steps * 1000 for s in seconds['plain loop']], 3)} ms a step, ", end=""
        )
        print(f"attnbench adds {spread(overhead, 3)} ms")


if __name__ == "__main__":
    main()
