"""Attention maps of a few validation images in TensorBoard, while a network is trained."""

import logging
from typing import cast

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from attnbench.data.loaders.chosen import denormalised, spread_images
from attnbench.overlay import Floats, enlarged, overlaid, spatial_means
from attnbench.training.attention_maps import attention_maps
from attnbench.training.callbacks.periodic_pictures import PeriodicPictures, tensorboards
from attnbench.training.datamodule import RunData
from attnbench.training.lightning_module import TrainingModule

PREFIX = "attention/"
"""Of the pictures' names in TensorBoard; a map's name follows."""
LINE = 14
"""Height in pixels of the line below a picture."""
logger = logging.getLogger(__name__)


class AttentionImages(PeriodicPictures):
    """Write the attention maps of a few validation images to TensorBoard, against images seen.

    The images are spread evenly over the validation images, and are the same each time. The network is evaluated
    without leaving traces, and no random number is drawn: the run's result is the same without this callback.
    """

    def choose(self, trainer: pl.Trainer, module: pl.LightningModule) -> Tensor | None:
        """Return images (N, C, H, W), if a logger takes pictures and there are maps to be drawn."""
        data = cast(RunData, trainer.datamodule).data  # type: ignore[attr-defined]
        if not tensorboards(trainer):
            logger.warning("attention_images: nothing is drawn, as no logger is TensorBoard's (logger=tensorboard)")
        elif "validation" not in data.splits:
            logger.warning("attention_images: nothing is drawn, as no image is held out (data.validation=0)")
        else:
            chosen = spread_images(data, "validation", self.images).images
            if spatial_maps(cast(TrainingModule, module), chosen):
                return chosen
            logger.warning("attention_images: nothing is drawn, as the attention has no maps that vary in space")
        return None

    def draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write a picture of each map."""
        trained = cast(TrainingModule, module)
        data = cast(RunData, trainer.datamodule).data  # type: ignore[attr-defined]
        pictures = denormalised(self.chosen, data).numpy()
        for name, values in spatial_maps(trained, self.chosen).items():
            if np.isfinite(values).all():
                for board in tensorboards(trainer):
                    board.experiment.add_image(f"{PREFIX}{name}", strip(pictures, values), trained.seen.images)


def spatial_maps(module: TrainingModule, images: Tensor) -> dict[str, Floats]:
    """Return the maps (N, h, w) that vary in space, by name, their means over channels or heads."""
    with torch.compiler.set_stance("force_eager"):  # these few images would be compiled for
        maps = attention_maps(module.net, images)
    return spatial_means({name: values.numpy() for name, values in maps.items()})


def strip(pictures: Floats, values: Floats) -> Floats:
    """Draw images (N, C, H, W) above their maps (N, h, w), with one range of colours, which is written below.

    Returns:
        (3, H', W') with values in [0, 1].
    """
    low, high = float(values.min()), float(values.max())
    above = [np.broadcast_to(enlarged(each), (3, *enlarged(each).shape[1:])) for each in pictures]
    below = [overlaid(each, own, low, high) for each, own in zip(pictures, values, strict=True)]
    rows = np.concatenate([np.concatenate(row, axis=2) for row in (above, below)], axis=1)
    line = Image.new("L", (rows.shape[2], LINE), 255)
    ImageDraw.Draw(line).text((2, 1), f"{low:.3g} (dark) to {high:.3g} (light)", fill=0)
    written = np.broadcast_to(np.asarray(line, np.float32) / 255, (3, *line.size[::-1]))
    return np.concatenate([rows, written], axis=1)
