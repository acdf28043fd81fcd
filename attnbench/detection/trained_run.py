"""A trained detector in Python: its network with weights, and what it detects in images."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.loaders.pixels import read_whole
from attnbench.detection.data.objects import ImageObjects
from attnbench.detection.detector import Detector
from attnbench.detection.loaders import FileLoader, MemoryLoader
from attnbench.errors import UserError
from attnbench.training.trained_run import LoadedRun


class ReadImage(NamedTuple):
    """An image as a detector takes it.

    Attributes:
        name: its number in the test set, or its file's name.
        pixels: (C, H, W), with values in [0, 1].
        scale: width and height of the original image over those of `pixels`.
        objects: in it, in pixels of the original image; None if they are not known.
    """

    name: str
    pixels: Tensor
    scale: tuple[float, float]
    objects: ImageObjects | None = None


class FoundObjects(NamedTuple):
    """The D objects that were detected in one image, the most certain first.

    Attributes:
        boxes: (D, 4) float32, left, top, right and bottom edge in pixels of the original image.
        labels: (D,) int64, from 0.
        scores: (D,) float32.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


class DetectorRun(LoadedRun):
    """A finished run of a detector; arguments as of `LoadedRun`.

    Attributes:
        model: the detector. Move it with `run.model.to("cuda")`; `detect` follows it.
    """

    model: Detector

    def _build(self) -> Detector:
        net = self._experiment.build_network()
        assert isinstance(net, Detector)
        return net

    def test_images(self, numbers: Iterable[int]) -> list[ReadImage]:
        """Read images of the test set by their numbers in it."""
        with self._test_loader() as loader:
            assert isinstance(loader, MemoryLoader | FileLoader)
            epoch, objects = loader.epoch(), loader.objects
            wanted = sorted(number for number in numbers if number < loader.count)
            found = {}
            for batch in sorted({number // loader.batch_size for number in wanted}):
                for pixels, target in zip(*epoch.batch(batch), strict=True):
                    found[int(target["image"])] = pixels.cpu(), tuple(target["scale"][:2].tolist())
            return [ReadImage(str(number), *found[number], objects[number]) for number in wanted]

    def read(self, path: Path) -> ReadImage:
        """Read an image file as test images are read. Raises `UserError`, which names the file."""
        stored = read_whole(path, self.data)
        height, width = stored.pixels.shape[:2]
        most, stretched = self.model.model.transform.max_size, self.model.model.transform.fixed_size
        if not stretched and min(height, width) * most < max(height, width):  # its shorter side would vanish
            size = f"{stored.width}x{stored.height}"
            raise UserError(f"{path}: {size} pixels are too narrow where the longer side is reduced to {most}")
        pixels = torch.tensor(stored.pixels).permute(2, 0, 1).float() / 255
        return ReadImage(path.name, pixels.contiguous(), (stored.width / width, stored.height / height))

    @torch.no_grad()
    def detect(self, image: ReadImage) -> FoundObjects:
        """Detect the objects in an image."""
        (found,) = self.model([image.pixels.to(next(self.model.parameters()).device)])
        order = found["scores"].argsort(descending=True, stable=True)
        boxes, labels, scores = (found[name][order].cpu().numpy() for name in ("boxes", "labels", "scores"))
        return FoundObjects(boxes * np.array(image.scale * 2, np.float32), labels - 1, scores)
