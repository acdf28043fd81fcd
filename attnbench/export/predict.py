"""Predictions of a trained run for image files, and its attention maps for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from attnbench.data.loaders.pixels import Pixels, read_pixels
from attnbench.errors import UserError
from attnbench.export.network import MAPS, PROBABILITIES, PixelClassifier
from attnbench.training.trained_run import TrainedRun

BATCH = 16

Maps = dict[str, NDArray[np.float32]]
"""Attention maps (K, h, w) of one image by name."""


@dataclass(frozen=True)
class ImagePrediction:
    """The most probable classes of an image.

    Attributes:
        path: its file.
        classes: names, the most probable first.
        probabilities: of these, after a softmax over all classes.
        pixels: (S, S, C) uint8, what the network saw.
        maps: its attention maps, if they were asked for.
    """

    path: Path
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    pixels: Pixels
    maps: Maps


def predict_files(
    run: TrainedRun, paths: Sequence[Path], top: int, maps: bool = False
) -> Iterator[ImagePrediction | UserError]:
    """Yield a prediction for each file in turn, or the error for a file that cannot be read.

    Args:
        run: the trained run.
        paths: image files.
        top: number of classes to name; no more than there are.
        maps: whether attention maps are computed too.

    Raises:
        UserError: the network's outputs are not finite, as those of one that diverged.
    """
    network = PixelClassifier(run.model, run.data.mean, run.data.std, maps=maps).eval()
    for start in range(0, len(paths), BATCH):
        read = {path: _read(path, run) for path in paths[start : start + BATCH]}
        good = {path: pixels for path, pixels in read.items() if not isinstance(pixels, UserError)}
        predictions = dict(zip(good, _predict(network, good, run.classes, top), strict=True))
        for path in paths[start : start + BATCH]:
            pixels = read[path]
            yield pixels if isinstance(pixels, UserError) else predictions[path]


def _read(path: Path, run: TrainedRun) -> Pixels | UserError:
    try:
        return read_pixels(path, run.data)
    except UserError as error:
        return error


def _predict(
    network: PixelClassifier, images: dict[Path, Pixels], classes: Sequence[str], top: int
) -> list[ImagePrediction]:
    """Predict a batch, each image by its file."""
    if not images:
        return []
    pixels = torch.from_numpy(np.stack(list(images.values()))).permute(0, 3, 1, 2)
    with torch.set_grad_enabled(network.maps):  # a map may be made of the gradient of a class score
        outputs = {name: values.detach().numpy() for name, values in network(pixels.contiguous()).items()}
    finite = np.isfinite(outputs[PROBABILITIES]).all(1)
    if not finite.all():
        first = list(images)[finite.argmin()]
        raise UserError(f"{first}: the network's outputs are not finite, so nothing can be said")
    order = np.argsort(-outputs[PROBABILITIES], axis=1, kind="stable")[:, :top]
    maps = {name.removeprefix(MAPS): values for name, values in outputs.items() if name.startswith(MAPS)}
    return [
        ImagePrediction(
            path,
            tuple(classes[label] for label in chosen),
            tuple(float(outputs[PROBABILITIES][index, label]) for label in chosen),
            image,
            {name: values[index] for name, values in maps.items()},
        )
        for index, ((path, image), chosen) in enumerate(zip(images.items(), order.tolist(), strict=True))
    ]
