"""Detections in a few validation images in TensorBoard, while a detector is trained."""

import logging
from collections.abc import Sequence
from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid

from attnbench.detection.loaders import Batch
from attnbench.detection.module import DetectionModule, data_of
from attnbench.training.attention_maps import undisturbed
from attnbench.training.callbacks.periodic_pictures import PeriodicPictures, tensorboards

NAME = "detections"
"""Of the pictures in TensorBoard."""
SHOWN_FROM = 0.5
"""Score from which a detection is drawn."""
TRUE, FOUND = "lime", "red"
SIDE = 256
"""Least width in pixels to which small images are enlarged, by a whole number."""
logger = logging.getLogger(__name__)


class DetectionImages(PeriodicPictures):
    """Draw objects and detections in the first validation images, against images seen.

    The network is evaluated without leaving traces, and no random number is drawn: the run's result is the same without
    this callback. There are at most as many images as in a batch.
    """

    def choose(self, trainer: pl.Trainer, module: pl.LightningModule) -> Batch | None:
        """Return the first validation batch, if a logger takes pictures and the task is detection."""
        if not isinstance(module, DetectionModule):
            logger.warning("detection_images: nothing is drawn, as the task is not detection")
        elif not tensorboards(trainer) or "validation" not in module.loaders:
            logger.warning("detection_images: nothing is drawn without logger=tensorboard and validation images")
        else:
            return cast(Batch, module.loaders["validation"].epoch().batch(0))
        return None

    def draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write one picture of all images."""
        detecting, (images, targets) = cast(DetectionModule, module), self.chosen
        classes = data_of(detecting.loaders["validation"]).classes
        with undisturbed(detecting.net), torch.no_grad():
            found = detecting.net(images[: self.images])
        drawn = [
            drawing(image, {**target, "boxes": target["boxes"] / target["scale"]}, detected, classes)
            for image, target, detected in zip(images, targets, found, strict=False)
        ]
        height, width = (max(each.shape[side] for each in drawn) for side in (1, 2))
        padded = [
            torch.nn.functional.pad(each, (0, width - each.shape[2], 0, height - each.shape[1])) for each in drawn
        ]
        for board in tensorboards(trainer):
            board.experiment.add_image(NAME, make_grid(padded), detecting.seen.images)


def drawing(image: Tensor, target: dict[str, Tensor], detected: dict[str, Tensor], classes: Sequence[str]) -> Tensor:
    """Draw the objects of an image in green, and detections with their class and score in red.

    Args:
        image: (C, H, W), with values in [0, 1].
        target: `boxes` (M, 4) of the objects, in pixels of the image.
        detected: `boxes` (D, 4), `labels` (D,) from 1 and `scores` (D,).
        classes: names of the classes.

    Returns:
        (3, H', W') uint8.
    """
    factor = max(1, SIDE // image.shape[2])
    pixels = (image.cpu().expand(3, -1, -1) * 255).round().to(torch.uint8)
    pixels = pixels.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    shown = detected["scores"].cpu() >= SHOWN_FROM
    boxes, labels, scores = (detected[name].cpu()[shown] for name in ("boxes", "labels", "scores"))
    words = [f"{classes[label - 1]} {score:.2f}" for label, score in zip(labels.tolist(), scores.tolist(), strict=True)]
    for drawn, labelled, color in ((target["boxes"].cpu(), None, TRUE), (boxes, words, FOUND)):
        if len(drawn):  # torchvision warns of no boxes
            pixels = draw_bounding_boxes(pixels, drawn * factor, labelled, colors=color)
    return pixels
