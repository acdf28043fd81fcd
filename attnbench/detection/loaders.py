"""Batches of images with their objects: pixels in memory, or decoded from files by worker processes.

An epoch's order and flips are drawn at its start, from seed and epoch only. Images keep their sizes: torchvision's
detectors resize and join them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from attnbench.data.loaders.base import Epoch, Loader, Placement
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.loaders.streaming import StreamingEpoch, StreamingLoader
from attnbench.data.loaders.workers import DecodeWorkers
from attnbench.data.splits import Split
from attnbench.data.transforms.policies import PolicyOptions
from attnbench.detection.data.base import DetectionFiles, DetectionSet
from attnbench.detection.data.objects import ImageObjects, Objects
from attnbench.seeding import derive_seed

Target = dict[str, Tensor]
"""The objects of an image. In training: `boxes` (M, 4) in its pixels and `labels` (M,) from 1. In evaluation, `boxes`
are in pixels of the original image, `crowd` and `difficult` (M,) say which objects need not be found, `scale` (4,) is
what boxes in the given image are multiplied by to be in the original one, and `image` is its place in the split."""
Batch = tuple[list[Tensor], list[Target]]
"""Images (C, H, W) with values in [0, 1], and the objects in each."""


class Picture(NamedTuple):
    """An image to be put into a batch.

    Attributes:
        position: in the epoch.
        pixels: (H, W, C) uint8.
        scale: width and height of the original image over those of `pixels`.
    """

    position: int
    pixels: Tensor
    scale: tuple[float, float] = (1.0, 1.0)


class DetectionLoaders(LoaderFactory):
    """Makes the loaders of a detection set's splits."""

    def make(self, split: Split, seed: int | None = None, policy: PolicyOptions | None = None) -> Loader:
        data = cast(DetectionSet, self.data)
        if isinstance(data, DetectionFiles):
            return FileLoader(data, split, self._shared_workers(data), self.placement, seed)
        return MemoryLoader(data, split, self.placement, seed)


class Pass:
    """The order and the flips of one pass over a split, and how its images become batches.

    Args:
        objects: of the split's images.
        number: of the epoch.
        seed: draws order and flips; without it, images come in order and unchanged, for evaluation.
        flip: whether half of the training images are flipped.
        device: where batches are.
    """

    def __init__(self, objects: Objects, number: int, seed: int | None, flip: bool, device: torch.device) -> None:
        self.objects, self.device, self.training = objects, device, seed is not None
        self.order, self.flips = torch.arange(len(objects)), torch.zeros(len(objects), dtype=torch.bool)
        if seed is not None:
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", number))
            self.order = torch.randperm(len(objects), generator=generator)
            flips = torch.rand(len(objects), generator=generator) < 0.5
            self.flips = flips & flip

    def batch(self, pictures: Iterator[Picture]) -> Batch:
        """Return images and targets of a batch."""
        images, targets = [], []
        for position, pixels, scale in pictures:
            objects, width = self.objects[int(self.order[position])], pixels.shape[1]
            image = pixels.to(self.device).permute(2, 0, 1).float().div_(255)
            target = self._trained(objects, scale) if self.training else self._evaluated(objects, scale, position)
            if self.flips[position]:
                image = image.flip(2)
                target["boxes"][:, [0, 2]] = width - target["boxes"][:, [2, 0]]
            images.append(image.contiguous())
            targets.append(target)
        return images, targets

    def _trained(self, objects: ImageObjects, scale: tuple[float, float]) -> Target:
        boxes = torch.from_numpy(objects.boxes[objects.trained]) / torch.tensor(scale * 2)
        labels = torch.from_numpy(objects.labels[objects.trained]) + 1
        return {"boxes": boxes.to(self.device), "labels": labels.to(self.device)}

    def _evaluated(self, objects: ImageObjects, scale: tuple[float, float], position: int) -> Target:
        boxes, labels, crowd, difficult = (torch.from_numpy(part.copy()) for part in objects)
        parts = {"boxes": boxes, "labels": labels + 1, "crowd": crowd, "difficult": difficult}
        return {**parts, "scale": torch.tensor(scale * 2), "image": torch.tensor(position)}


class MemoryLoader(Loader):
    """A split that is kept in memory.

    Args:
        data: the data set.
        split: one of its splits.
        placement: where batches are made.
        seed: draws order and flips; see `Pass`.
    """

    def __init__(self, data: DetectionSet, split: Split, placement: Placement, seed: int | None) -> None:
        self.data, self.placement, self.batch_size, self.seed = data, placement, data.batch_size, seed
        self.pixels, self.objects = torch.from_numpy(data.load(split).images).to(placement.device), data.objects(split)
        self.flip = data.augmentation.flip
        self.count, self.height, self.width = self.pixels.shape[:3]

    def epoch(self, number: int = 0) -> "MemoryEpoch":
        """Draw an epoch. Without a seed, images come in order."""
        return MemoryEpoch(self, Pass(self.objects, number, self.seed, self.flip, self.placement.device))


class MemoryEpoch(Epoch):
    """One pass over a split that is kept in memory."""

    loader: MemoryLoader

    def __init__(self, loader: MemoryLoader, drawn: Pass) -> None:
        self.loader, self.order, self.drawn = loader, drawn.order, drawn

    def batch(self, number: int) -> Any:
        """Make this process's share of a batch."""
        mine = self.share(number)
        positions = range(mine.start, mine.stop, mine.step)
        return self.drawn.batch(Picture(place, self.loader.pixels[self.order[place]]) for place in positions)


class FileLoader(StreamingLoader):
    """A split that is read from files; arguments as of `StreamingLoader`."""

    data: DetectionFiles

    def __init__(
        self, data: DetectionFiles, split: Split, workers: DecodeWorkers, placement: Placement, seed: int | None
    ) -> None:
        super().__init__(data, split, workers, placement, seed)
        self.objects = data.listed_objects(self.source).take(self.members)

    def epoch(self, number: int = 0) -> "FileEpoch":
        """Draw an epoch. Without a seed, images come in the order of the files."""
        flip = self.data.augmentation.flip
        return FileEpoch(self, Pass(self.objects, number, self.seed, flip, self.placement.device))


class FileEpoch(StreamingEpoch):
    """One pass over a split that is read from files."""

    def __init__(self, loader: FileLoader, drawn: Pass) -> None:
        super().__init__(loader, loader.labels, drawn.order, None)
        self.drawn = drawn

    def batch(self, number: int) -> Any:
        """Make this process's share of a batch."""
        return self.drawn.batch(self._pictures(number))

    def _pictures(self, number: int) -> Iterator[Picture]:
        for positions, chunk in self.chunks(number):
            start = 0
            for position, shape in zip(positions.tolist(), chunk.shapes.tolist(), strict=True):
                height, width, original_height, original_width = shape
                pixels = chunk.pixels[start : start + height * width].view(height, width, 3)
                start += height * width
                yield Picture(position, pixels, (original_width / width, original_height / height))
