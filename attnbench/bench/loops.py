"""Training loops that take turns: `attnbench train`, a plain loop over the same batches, and the usual loop.

Speed does not depend on what the images show, so they are random. `attnbench train` runs as usual, with metrics,
checkpoints and TensorBoard. Between its epochs, a callback runs an epoch of each other loop.
"""

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from attnbench.config.compose import compose
from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import Split
from attnbench.runs.files import write_all, write_json
from attnbench.training.batch_changes import BatchChanges
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.optimizers import make_optimizer
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.weight_average import WeightAverage

Loop = Callable[[int], float]
"""A function that runs the epoch with the given number and returns its seconds."""

OWN = "attnbench train"
RANDOM = ["data=random_images", "callbacks=rivals"]
"""Random images, and the plain and the usual loop beside them."""
CONFIGS = {
    "data/random_images.yaml": """\
defaults: [family/resident@_here_]
_target_: attnbench.bench.loops.RandomImages
train_images: 1280
size: 32
padding: 4
flip: true
mean: [0.5, 0.5, 0.5]
std: [0.25, 0.25, 0.25]
""",
    "backbone/nothing.yaml": "{_target_: attnbench.bench.host.Nothing, blocks: 0, drop_path: 0.0}\n",
    "callbacks/timm.yaml": """\
rivals:
  _target_: attnbench.bench.timm_loop.TimmRivals
  folder: ???
  model: resnet18
  workers: 2
  file: seconds.json
""",
    "callbacks/rivals.yaml": "rivals: {_target_: attnbench.bench.loops.Rivals, usual: true, file: seconds.json}\n",
}


class RandomImages(DataSet):
    """Random colour images in ten classes."""

    channels = 3
    classes = tuple("0123456789")

    def __init__(self, train_images: int, size: int, **options: Any) -> None:
        self.train_images, self.image_size = train_images, size
        super().__init__(**options)

    def fingerprint(self) -> str:
        return "random"

    def load(self, split: Split) -> Arrays:
        return random_arrays(self.train_images if split == "train" else 100, self.image_size)


def random_arrays(count: int, size: int) -> Arrays:
    """Return `count` random colour images of `size` x `size` pixels, with labels."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(256, size=(count, size, size, 3), dtype=np.uint8)
    return Arrays(pixels, generator.integers(10, size=count))


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images that are read one at a time through PIL, as most code reads CIFAR."""

    def __init__(self, arrays: Arrays) -> None:
        crop = transforms.RandomCrop(arrays.images.shape[1], padding=4)
        normalise = transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        steps = [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalise]
        self.arrays, self.transform = arrays, transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays.images[index])), int(self.arrays.labels[index])


def run_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Any],
    precision: Callable[[], AbstractContextManager[Any]],
    clip_norm: float = 0.0,
    average: WeightAverage | None = None,
    accumulate: int = 1,
) -> float:
    """Train for one epoch, as one writes it by hand, and return the seconds.

    `accumulate` batches, which the epoch has a multiple of, form a step.
    """
    started = time.perf_counter()
    total = torch.zeros((), device=next(net.parameters()).device)
    for number, (images, labels) in enumerate(batches, 1):
        with precision():
            loss = nn.functional.cross_entropy(net(images).float(), labels)
        (loss / accumulate if accumulate > 1 else loss).backward()
        total += loss.detach()
        if number % accumulate:
            continue
        if clip_norm:
            nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if average is not None:
            average.update()
    total.item()  # waits for the device
    return time.perf_counter() - started


def plain_loop(module: TrainingModule) -> Loop:
    """Return a loop with the same network, batches, recipe and precision and nothing else: it is hard to beat."""
    net, recipe = copy.deepcopy(module.net), module.recipe
    optimizer = make_optimizer(net, recipe)
    average = WeightAverage(net, recipe.ema) if recipe.ema else None
    if average is not None:
        average.follow(net, begin=True)
    options = (recipe.clip_norm, average, recipe.accumulate)
    return lambda number: run_epoch(net, optimizer, changed(module, number), module.autocast, *options)


def changed(module: TrainingModule, number: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch as attnbench changes them."""
    loader = module.loaders["train"]
    epoch = loader.epoch(number)
    changes = BatchChanges(module.recipe, loader, module.classes, module.run_seed, number)
    for batch in range(len(epoch)):
        yield changes(*epoch.batch(batch), epoch.share(batch))[:2]


def usual_loop(module: TrainingModule) -> Loop:
    """Return the loop that most code has: a DataLoader with two workers, PIL, single precision, channels first."""
    net = copy.deepcopy(module.net).to(memory_format=torch.contiguous_format)
    pipeline = cast(InMemoryLoader, module.loaders["train"])
    optimizer, device = make_optimizer(net, module.recipe), module.device
    pictures = Pictures(random_arrays(pipeline.count, pipeline.height))
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "pin_memory": device.type == "cuda"}
    loader = DataLoader(pictures, pipeline.batch_size, shuffle=True, **options)

    def run(number: int) -> float:
        batches = ((images.to(device), labels.to(device)) for images, labels in loader)
        return run_epoch(net, optimizer, batches, nullcontext)

    return run


class Rivals(Callback):
    """Run an epoch of each other loop after every epoch, and write the seconds of all loops to a file.

    Args:
        usual: include the usual loop.
        file: the JSON file to write.
    """

    def __init__(self, usual: bool, file: str) -> None:
        self.usual, self.file = usual, Path(file)
        self.seconds: dict[str, list[float]] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.loops = self.loops_of(cast(TrainingModule, pl_module))
        for loop in self.loops.values():
            loop(0)  # warms up, as attnbench's first epoch does

    def loops_of(self, module: TrainingModule) -> dict[str, Loop]:
        """Return the other loops by name."""
        loops = {"plain loop": plain_loop(module)}
        return loops | {"usual loop": usual_loop(module)} if self.usual else loops

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch > 0:
            turn = {OWN: cast(TrainingModule, pl_module).train_metrics["seconds"]}
            turn |= {name: loop(trainer.current_epoch) for name, loop in self.loops.items()}
            for name, value in turn.items():
                self.seconds.setdefault(name, []).append(value)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        write_json(self.file, self.seconds)


def measure(words: Sequence[str], turns: int, folder: Path) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Train with other loops as a callback.

    Args:
        words: overrides of the run, `RANDOM` among them or other data and rivals.
        turns: measured epochs, after one that warms up.
        folder: for configs, the run and the result.

    Returns:
        The seconds of an epoch in each turn, by loop, and the settings that were chosen for the machine.
    """
    write_all({folder / path: text for path, text in CONFIGS.items()})
    result = folder / "seconds.json"
    common = [f"recipe.epochs={turns + 1}", f"callbacks.rivals.file={result}", f"output={folder}"]
    record = train(plan(compose([*common, *words], str(folder))))
    assert record is not None  # it is the only process
    return json.loads(result.read_text()), record.resolved.to_json()
