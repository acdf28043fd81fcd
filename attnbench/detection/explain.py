"""Explanations of detectors: objects and detections over attention maps and class activation maps.

A class activation map is of the score of the most certain detection in an image, or of a class that is named, where a
stage ends that the detector reads. A detector has no class for an image as a whole, so neither the maps' localisation
nor their faithfulness is measured.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.data.loaders.chosen import split_size
from attnbench.detection.detector import Detector
from attnbench.detection.images import SHOWN_FROM
from attnbench.detection.trained_run import DetectorRun, FoundObjects, ReadImage
from attnbench.errors import UserError
from attnbench.explain.cams import METHODS, cam_at
from attnbench.explain.explanation import NOTHING, Explanation, attention_panels, choose_targets
from attnbench.explain.kept import Images
from attnbench.explain.panels import Floats, Mark, Panel, array, joined
from attnbench.explain.pick import draw_numbers
from attnbench.explain.probes import ATTENTION, FINAL, Probe, attention_point, inserted_probe, named_layers, slot_at
from attnbench.explain.scored_run import Found
from attnbench.explain.scores import resize_maps
from attnbench.explain.session import ExplainSession
from attnbench.runs.evaluations import Evaluation
from attnbench.runs.explanations import PREDICTED, TRUE, Request
from attnbench.training.attention_maps import undisturbed

FOUND = "#ff8c00"
"""Colour of the boxes of detections."""
NO_DETECTION = "nothing"
"""Name of what is detected in an image without a detection."""
CELL = 8
"""Pixels that a map's value stands for, where images differ in size."""


class DetectorSession(ExplainSession):
    """Explains images by several detectors; arguments and errors as of `ExplainSession`."""

    runs: Sequence[DetectorRun]

    def __init__(self, runs: Sequence[DetectorRun], request: Request, place: Path) -> None:
        if request.pick != "random":
            raise UserError(f"--pick {request.pick}: is for networks that classify images; detectors take random")
        if request.target == TRUE:
            raise UserError(f"--class {TRUE}: an image has several objects; {PREDICTED}, or the name of a class")
        super().__init__(runs, request, place)
        nothing = np.zeros(0, np.int64)
        choose_targets(request.target or PREDICTED, nothing, nothing, (*runs[0].classes, NO_DETECTION))
        self.chosen = self._choose()

    def _choose(self) -> list[ReadImage]:
        run, request, numbers = self.runs[0], self.request, []
        if not request.files:  # which need no test set
            everything = np.arange(split_size(run.data, "test"))
            numbers = draw_numbers(everything, request.images, request.seed).tolist()
        return read_images(run, request, numbers)

    @cached_property
    def images(self) -> Images:
        return images_of(self.chosen)

    def explain(self, number: int) -> Explanation:
        return explain_detections(self.runs[number], self.request, self.chosen, self.names[number])

    def lines(self, found: Sequence[Found]) -> Iterator[str]:
        if self.request.faithfulness:
            yield "--faithfulness: left out, as it is measured by the class of a whole image"
        yield from super().lines(found)


def explain_one(evaluation: Evaluation, request: Request, numbers: Sequence[int]) -> Found:
    """Explain images by one detector; as `attnbench.explain.session.explain_one`, but that nothing is scored."""
    run = DetectorRun(evaluation)
    return Found(explain_detections(run, request, read_images(run, request, numbers), run.folder.parent.name), {})


def read_images(run: DetectorRun, request: Request, numbers: Sequence[int]) -> list[ReadImage]:
    """Read the image files of a request, or without one test images by their numbers."""
    return [run.read(path) for path in request.files] if request.files else run.test_images(numbers)


def images_of(images: Sequence[ReadImage]) -> Images:
    """Return images of any sizes as those of an explanation, with black below and to the right of smaller ones."""
    pictures = _stacked([array(image.pixels) for image in images])
    names = tuple(image.name for image in images)
    return Images(torch.from_numpy(pictures), pictures, names, np.full(len(images), -1, np.int64), None)


class ExplainedImage(NamedTuple):
    """What a detector sees in one image.

    Attributes:
        found: what it detects.
        target: the class that is explained; as many as there are classes, if there is no detection.
        panels: maps and bars of this image.
    """

    found: FoundObjects
    target: int
    panels: list[Panel]


def explain_detections(run: DetectorRun, request: Request, images: Sequence[ReadImage], name: str) -> Explanation:
    """Explain what a detector finds in images.

    Args:
        run: the detector.
        request: layers, methods and class.
        images: those to be explained.
        name: of the run.

    Raises:
        UserError: an unknown class or layer.
    """
    classes = (*run.classes, NO_DETECTION)
    explained = [explain_image(run, request, image) for image in images]
    sizes = [tuple(image.pixels.shape[1:]) for image in images]
    targets = np.array([each.target for each in explained], np.int64)
    best = [each.found.labels[:1].tolist() or [len(run.classes)] for each in explained]
    return Explanation(
        name=name,
        **images_of(images)._asdict(),
        predicted=np.array(best, np.int64)[:, 0],
        probability=np.array([each.found.scores[:1].sum() for each in explained], np.float32),
        targets=targets,
        classes=classes,
        panels=tuple(joined(_alike([each.panels for each in explained], sizes))),
        raw={},
        detected=tuple(marks(image, each.found, run.classes) for image, each in zip(images, explained, strict=True)),
    )


def explain_image(run: DetectorRun, request: Request, image: ReadImage) -> ExplainedImage:
    """Explain what a detector finds in one image. Raises `UserError` for an unknown class or layer."""
    net, found, classes = run.model, run.detect(image), (*run.classes, NO_DETECTION)
    best = np.array(found.labels[:1].tolist() or [len(run.classes)], np.int64)
    (target,) = choose_targets(request.target or PREDICTED, best, best, classes).tolist()
    device = next(net.parameters()).device
    pixels = image.pixels.to(device)
    cams = [
        cam_panel(net, pixels, target if target in found.labels else None, layer, method)
        for method in request.methods
        for layer in layers_of(net, request.layers)
    ]
    normalised = net.model.transform.normalize(pixels)[None]
    shown, _ = attention_panels(net, normalised, np.zeros(1, np.int64), run.classes)
    return ExplainedImage(found, target, [*cams, *shown])


def layers_of(net: Detector, names: Sequence[str]) -> list[str]:
    """Return the points that layers stand for; by default the ends of the stages that the detector reads.

    Raises:
        UserError: a name stands for no layer.
    """
    paths: list[str] = net.model.backbone.paths
    special = {FINAL: paths[-1], ATTENTION: attention_point(net)}
    found = [str(special.get(name) or name) for name in named_layers(net, names)] if names else paths
    return list(dict.fromkeys(found))


def cam_panel(net: Detector, pixels: Tensor, target: int | None, layer: str, method: str) -> Panel:
    """Return the panel of a class activation map of one image (C, H, W); 0 everywhere without a class to explain."""
    stride = net.backbone.points[layer].stride
    height, width = (-(-side // stride) for side in pixels.shape[1:])
    values = torch.zeros(1, height, width)
    if target is not None:
        with undisturbed(net), probed(net, layer) as (network, probe):
            whole = cam_at(network, probe, pixels[None], [target], method)
        values = F.interpolate(of_image(net, whole, pixels)[None], (height, width), mode="bilinear")[0]
    caption = "" if values.any() else NOTHING
    return Panel(f"cam/{method}/{layer}", f"{METHODS[method][1]}\n{layer}", array(values), "evidence", (caption,))


def of_image(net: Detector, whole: Tensor, pixels: Tensor) -> Tensor:
    """Return the part of a map (1, h, w) that is of the image: detectors resize it, and pad it right and below."""
    images, _ = net.model.transform([pixels])
    ((height, width),), (_, _, padded_height, padded_width) = images.image_sizes, images.tensors.shape
    rows, columns = whole.shape[1] * height / padded_height, whole.shape[2] * width / padded_width
    return whole[:, : math.ceil(rows), : math.ceil(columns)]


class ClassScores(nn.Module):
    """A detector as a classifier: of each image and class (B, L) the highest score of a detection; 0 without one."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        none = images.new_zeros(self.net.options.classes)
        detections = self.net(list(images))
        return torch.stack([none.scatter_reduce(0, each["labels"] - 1, each["scores"], "amax") for each in detections])


@contextmanager
def probed(net: Detector, point: str) -> Iterator[tuple[ClassScores, Probe]]:
    """Put a probe at a point, before the detector reads its map; yield the network to call, and the probe."""
    with inserted_probe(slot_at(net, point)) as probe:
        yield ClassScores(net), probe


def marks(image: ReadImage, found: FoundObjects, classes: Sequence[str]) -> tuple[Mark, ...]:
    """Return the objects of an image, and the detections that are certain enough, in pixels of its own."""
    scale = np.array(image.scale * 2, np.float32)
    objects = () if image.objects is None else image.objects.boxes
    return (
        *(Mark(box / scale) for box in objects),
        *(
            Mark(box / scale, FOUND, f"{classes[label]} {score:.2f}")
            for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
            if score >= SHOWN_FROM
        ),
    )


def _stacked(arrays: Sequence[Floats]) -> Floats:
    """Stack arrays (C, h, w), with zeros below and to the right of smaller ones."""
    height, width = (max(each.shape[side] for each in arrays) for side in (1, 2))
    return np.stack(
        [np.pad(each, ((0, 0), (0, height - each.shape[1]), (0, width - each.shape[2]))) for each in arrays]
    )


def _alike(images: Sequence[Sequence[Panel]], sizes: Sequence[tuple[int, ...]]) -> list[list[Panel]]:
    """Return the panels of images with maps of one shape, as `_stacked` has their pictures; sizes in pixels."""
    if len(set(sizes)) == 1:
        return [list(panels) for panels in images]
    cells = [[-(-side // CELL) for side in size] for size in sizes]
    found = []
    for panels in zip(*images, strict=True):
        maps = [
            resize_maps(panel.values, *size) if panel.is_map else panel.values
            for panel, size in zip(panels, cells, strict=True)
        ]
        whole = _stacked(maps) if panels[0].is_map else maps
        found.append([replace(panel, values=values) for panel, values in zip(panels, whole, strict=True)])
    return [list(panels) for panels in zip(*found, strict=True)]
