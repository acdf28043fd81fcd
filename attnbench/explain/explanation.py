"""Explanations of a network's predictions for some images: prediction, attention and class activation maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.classifier import Classifier, Network
from attnbench.data.loaders.chosen import denormalised
from attnbench.errors import UserError, nearest
from attnbench.explain.cams import METHODS, cam, check_method
from attnbench.explain.panels import Floats, Mark, Panel, array, joined
from attnbench.explain.probes import resolve_layers
from attnbench.explain.views import panels_of
from attnbench.runs.explanations import PREDICTED, TRUE
from attnbench.training.attention_maps import undisturbed
from attnbench.training.trained_run import TrainedRun

NOTHING = "no evidence"
"""Caption of a class activation map that is 0 everywhere."""
CHUNK = 16
"""Images of which a gradient's graph is kept at a time."""


@dataclass(frozen=True)
class Explanation:
    """What one network sees in N images.

    Attributes:
        name: of the network.
        images: (N, C, H, W), normalised, as the network takes them.
        pictures: (N, C, H, W), with values in [0, 1].
        names: of the images.
        labels: (N,) true classes; -1 where unknown.
        boxes: (N, 4) left, top, right and bottom edges in pixels, NaN for images without one; None if no box is known.
        predicted: (N,) classes.
        probability: (N,) of the predicted class.
        targets: (N,) the classes that are explained.
        classes: names of the classes.
        panels: maps and bars: class activation maps first, then the attention's, shallow to deep.
        raw: whole attention maps (n, K, h, w) by name, of the first n images.
        detected: what else is marked in each image, besides its box: objects, and what a detector found.
    """

    name: str
    images: Tensor
    pictures: Floats
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    boxes: Floats | None
    predicted: NDArray[np.int64]
    probability: Floats
    targets: NDArray[np.int64]
    classes: tuple[str, ...]
    panels: tuple[Panel, ...]
    raw: dict[str, Floats]
    detected: tuple[tuple[Mark, ...], ...] = ()

    def marks(self, index: int) -> tuple[Mark, ...]:
        """Return what is marked in an image: its box, if there is one, and what is detected."""
        box = None if self.boxes is None else self.boxes[index]
        own = () if box is None or np.isnan(box).any() else (Mark(box),)
        return (*own, *(self.detected[index] if self.detected else ()))

    def objects(self, index: int) -> tuple[Mark, ...]:
        """Return what is marked in an image and the same for every network: marks without words."""
        return tuple(mark for mark in self.marks(index) if not mark.words)

    def findings(self, index: int) -> tuple[Mark, ...]:
        """Return what this network detects in an image."""
        return tuple(mark for mark in self.marks(index) if mark.words)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def cams(self) -> list[Panel]:
        """The class activation maps."""
        return [panel for panel in self.panels if panel.name.startswith("cam/")]


def explain(
    source: TrainedRun | Classifier,
    images: Tensor,
    *,
    labels: Sequence[int] | Tensor | NDArray[np.int64] | None = None,
    boxes: NDArray[np.float32] | None = None,
    target: str = PREDICTED,
    methods: Sequence[str] = ("gradcam",),
    layers: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    names: Sequence[str] = (),
    name: str | None = None,
    keep: int | None = None,
) -> Explanation:
    """Explain a network's predictions.

    Args:
        source: a trained run, or any classifier of this package, with any attention.
        images: (N, C, H, W), normalised, of any size that the network takes.
        labels: (N,) true classes, -1 where unknown; None if all are.
        boxes: (N, 4), see `Explanation`.
        target: the class to be explained: `predicted`, `true`, or a class's name.
        methods: of class activation maps, see `cams.METHODS`; empty for the attention alone, which needs no library.
        layers: where class activation maps are taken: `final`, `attention`, points such as `stage2.out`, or patterns;
            by default at the last map and, where it is another one, at the attention's output.
        classes: names of the classes; by default the run's, or their numbers.
        names: of the images; by default their numbers.
        name: of the network; by default the attention's class.
        keep: how many images' whole attention maps to keep in `raw`; None for all.

    Raises:
        UserError: an unknown class, method or layer, or no images.
        NotInstalledError: the library for class activation maps is missing.
    """
    net = source.model if isinstance(source, TrainedRun) else source
    if not len(images):
        raise UserError("explain: there are no images")
    for method in methods:
        check_method(method)
    known = tuple(classes or (source.classes if isinstance(source, TrainedRun) else ())) or tuple(
        map(str, range(net.backbone.num_classes))
    )
    truth = np.full(len(images), -1, np.int64) if labels is None else np.asarray(labels, np.int64)
    images = images.to(next(net.parameters()).device)
    predicted, probability = predict(net, images)
    targets = choose_targets(target, truth, predicted, known)
    places = resolve_layers(net, layers, images) if methods else []
    explained: list[list[Panel]] = []
    raw: list[dict[str, Floats]] = []
    whole = len(images) if keep is None else keep
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        activation = [cam_panel(net, images[part], targets[part], at, how) for how in methods for at in places]
        shown, maps = attention_panels(net, images[part], targets[part], known)
        explained.append([*activation, *shown])
        raw.append({key: values[: max(0, whole - start)] for key, values in maps.items()})
    return Explanation(
        name=name or type(net.attention).__name__,
        images=images.cpu(),
        pictures=array(pictures_of(source, images.cpu())),
        names=tuple(names) or tuple(map(str, range(len(images)))),
        labels=truth,
        boxes=boxes,
        predicted=predicted,
        probability=probability,
        targets=targets,
        classes=known,
        panels=tuple(joined(explained)),
        raw={key: np.concatenate([part[key] for part in raw]) for key in raw[0]},
    )


def choose_targets(
    target: str, labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.int64]:
    """Return the class (N,) to explain of each image. Raises `UserError` for a class that is not known."""
    if target == PREDICTED:
        return predicted
    if target == TRUE:
        if (labels < 0).any():
            raise UserError(f"class {TRUE}: the true classes of these images are not known; {PREDICTED}, or a name")
        return labels
    if target not in classes:
        some = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
        raise UserError(f"class {target}: no such class{nearest(target, list(classes))} ({PREDICTED}, {TRUE}, {some})")
    return np.full(len(labels), classes.index(target), np.int64)


def predict(net: Classifier, images: Tensor) -> tuple[NDArray[np.int64], Floats]:
    """Return the predicted classes (N,) and their probabilities (N,)."""
    with undisturbed(net), torch.no_grad():
        parts = [net(images[start : start + CHUNK]).float().softmax(1).cpu() for start in range(0, len(images), CHUNK)]
    probability, predicted = torch.cat(parts).max(1)
    return predicted.numpy(), probability.numpy()


def cam_panel(net: Classifier, images: Tensor, targets: NDArray[np.int64], layer: str, method: str) -> Panel:
    """Return the panel of a class activation map."""
    values = cam(net, images, targets.tolist(), layer, method)
    title = f"{METHODS[method][1]}\n{layer}"
    captions = tuple("" if evident else NOTHING for evident in (values.amax((1, 2)) > 0).tolist())
    return Panel(f"cam/{method}/{layer}", title, array(values), "evidence", captions)


def attention_panels(
    net: Network, images: Tensor, targets: NDArray[np.int64], classes: Sequence[str]
) -> tuple[list[Panel], dict[str, Floats]]:
    """Return the attention's panels for a batch, and its whole maps (B, K, h, w) by name."""
    with undisturbed(net):
        output = net.output(images.detach().clone().requires_grad_())  # a map may be made of a gradient
        shown = panels_of(net.attention, output, torch.as_tensor(targets, device=images.device), classes)
        return shown, {key: array(values) for key, values in net.maps(output).items()}


def pictures_of(source: TrainedRun | Classifier, images: Tensor) -> Tensor:
    """Return images with values in [0, 1]: by the data set's mean and deviation, or else by their own range."""
    if isinstance(source, TrainedRun):
        return denormalised(images, source.data)
    low, high = images.amin(), images.amax()
    return (images.float() - low) / (high - low).clamp(min=1e-12)
