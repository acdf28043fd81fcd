"""Mean average precision of a detector over a split: COCO's and PASCAL VOC's.

COCO's is torchmetrics' with faster-coco-eval, whose numbers are those of the authors' pycocotools. A crowd is neither
found nor missed, and detections inside it are not counted. VOC's `difficult` objects are treated likewise there; VOC's
own metrics leave them out as its development kit does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnbench.detection.detector import Detections
from attnbench.detection.loaders import Target
from attnbench.detection.voc import average_precision, correct_detections
from attnbench.errors import NotInstalledError
from attnbench.runs.metric_names import MAP, MAP50, MAP75, VOC07_MAP50, VOC12_MAP50
from attnbench.training.evaluation_meter import SplitMeter
from attnbench.training.metrics import require_images

Image = dict[str, Tensor]


def require_backend() -> None:
    """Raise `NotInstalledError` without faster-coco-eval."""
    try:
        import faster_coco_eval  # noqa: F401
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            "task=detection needs the package faster-coco-eval: pip install 'attnbench[detection]'"
        ) from error


class DetectionMeter(SplitMeter):
    """Collects detections and objects, batch by batch.

    Args:
        classes: names of the classes, whose precisions a test gives too; none if empty.

    Attributes:
        detected: what was detected in each image of the split that was read last.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.images: list[tuple[Image, Image]] = []
        self.detected: list[Image] = []

    def add(self, detections: Detections, targets: Sequence[Target]) -> None:
        """Collect a batch; boxes of both are in pixels of the original images."""
        for pair in zip(detections, targets, strict=True):
            detected, objects = ({name: values.cpu() for name, values in image.items()} for image in pair)
            self.images.append((detected, objects))

    def read(self, split: str, images: int) -> dict[str, float | None]:
        images_of_all = sorted(gathered(self.images), key=lambda pair: int(pair[1]["image"]))
        self.detected, objects = [pair[0] for pair in images_of_all], [pair[1] for pair in images_of_all]
        self.images = []
        require_images(split, len(objects), images)
        by_class = self.classes if split == "test" else ()
        return {**coco_metrics(self.detected, objects, by_class), **voc_metrics(self.detected, objects)}


def gathered(own: list[tuple[Image, Image]]) -> list[tuple[Image, Image]]:
    """Return what all processes have collected."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return own
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, own)
    return [image for part in parts for image in part]


def coco_metrics(detected: list[Image], objects: list[Image], classes: Sequence[str] = ()) -> dict[str, float | None]:
    """Return COCO's mean average precisions as fractions, and that at 0.5 of each class under `map50/<class>`.

    Args:
        detected: of each image, `boxes` (D, 4), `labels` (D,) from 1 and `scores` (D,).
        objects: of each image, `boxes` (M, 4), `labels` (M,) from 1, `crowd` and `difficult` (M,).
        classes: names of the classes, or none.
    """
    from torchmetrics.detection import MeanAveragePrecision

    # torchmetrics' own thresholds are in single precision, so that a recall of exactly 0.2 misses the one of 0.2
    thresholds: dict[str, Any] = {
        "iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(),
        "rec_thresholds": np.linspace(0, 1, 101).tolist(),
    }
    metric = MeanAveragePrecision(backend="faster_coco_eval", extended_summary=True, **thresholds)
    metric.warn_on_many_detections = False
    counted = [
        {
            "boxes": image["boxes"],
            "labels": image["labels"],
            "iscrowd": (image["crowd"] | image["difficult"]).to(torch.int64),
        }
        for image in objects
    ]
    metric.update(detected, counted)
    result = metric.compute()
    means = {MAP: result["map"], MAP50: result["map_50"], MAP75: result["map_75"]}
    named = {name: _known(float(value)) for name, value in means.items()}
    seen = [int(label) for label in torch.as_tensor(result["classes"]).reshape(-1)]
    at_half = result["precision"][0, :, :, 0, -1].mean(0).tolist()  # (recalls, classes) at 0.5, all areas
    of_class = dict(zip(seen, at_half, strict=True))
    return named | {f"{MAP50}/{name}": _known(of_class.get(label, -1.0)) for label, name in enumerate(classes, start=1)}


def _known(value: float) -> float | None:
    """Return a precision, or None for -1: there is no object to be found."""
    return None if value < 0 else value


def voc_metrics(detected: list[Image], objects: list[Image]) -> dict[str, float | None]:
    """Return VOC's mean average precisions at 0.5 as fractions, over the classes that have an object that counts."""
    eleven, every = [], []
    for label in sorted({int(label) for image in objects for label in image["labels"].tolist()}):
        correct, count = _of_class(label, detected, objects)
        if count:
            eleven.append(average_precision(correct, count, "eleven"))
            every.append(average_precision(correct, count, "all"))
    return {name: float(np.mean(found)) if found else None for name, found in _named(eleven, every).items()}


def _named(eleven: list[float], every: list[float]) -> Mapping[str, list[float]]:
    return {VOC07_MAP50: eleven, VOC12_MAP50: every}


def _of_class(label: int, detected: list[Image], objects: list[Image]) -> tuple[np.ndarray[Any, Any], int]:
    """Return which detections of a class are correct, and how many of its objects count."""
    chosen = [image["labels"] == label for image in detected]
    boxes = torch.cat([image["boxes"][own] for image, own in zip(detected, chosen, strict=True)])
    scores = torch.cat([image["scores"][own] for image, own in zip(detected, chosen, strict=True)])
    places = [place for place, own in enumerate(chosen) for _ in range(int(own.sum()))]
    truth = []
    for image in objects:
        own = image["labels"] == label
        truth.append((image["boxes"][own], (image["difficult"] | image["crowd"])[own].numpy()))
    return correct_detections(places, boxes, scores, truth), sum(int((~difficult).sum()) for _, difficult in truth)
