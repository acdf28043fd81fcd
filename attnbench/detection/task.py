"""The task `detection`: find objects in images by their boxes and classes."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from attnbench.config.validate import RunConfig
from attnbench.data.bases.dataset import DataSet
from attnbench.detection.data.base import DetectionSet
from attnbench.errors import OptionError, require, require_choice
from attnbench.runs.metric_names import MAP, MAP50, MAP75, VOC07_MAP50, VOC12_MAP50
from attnbench.training.task import Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from attnbench.data.loaders.base import Placement
    from attnbench.detection.detector import Detector
    from attnbench.detection.loaders import DetectionLoaders
    from attnbench.detection.module import DetectionModule
    from attnbench.detection.stage_maps import DetectorOptions
    from attnbench.training.experiment import Experiment
    from attnbench.training.recipe import Recipe

DETECTORS = ("faster_rcnn", "retinanet", "ssd", "ssdlite")
WITH_PYRAMID = DETECTORS[:2]
LARGE_FROM = 128
"""Image side in pixels from which `auto` means torchvision's own sizes."""
SMALL_CHANNELS, CHANNELS = 64, 256
CLASSIFICATION_ONLY = {
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "policy": "none",
    "erasing": 0.0,
    "cutout": 0,
}
"""Options of recipes that change labels or pixels without regard to boxes, by the value that changes nothing."""


class Detection(Task):
    """Detect objects; `configs/task/detection.yaml` explains each option."""

    name = "detection"
    main_metric = MAP50
    test_metrics = (MAP, MAP50, MAP75, VOC07_MAP50, VOC12_MAP50)

    def __init__(
        self,
        detector: str,
        channels: int | str = "auto",
        anchor_scale: float | str = "auto",
        head_norm: bool | str = "auto",
        freeze_norms: bool = False,
    ) -> None:
        require_choice("detector", detector, DETECTORS)
        require(channels == "auto" or int(channels) >= 1, "channels", channels, "must be at least 1, or auto")
        positive = anchor_scale == "auto" or float(anchor_scale) > 0
        require(positive, "anchor_scale", anchor_scale, "must be positive, or auto")
        for key, value in (("channels", channels), ("head_norm", head_norm)):
            fits = value == "auto" or detector in WITH_PYRAMID
            require(fits, key, value, f"must be auto with detector={detector}, which has no feature pyramid")
        self.detector, self.channels, self.anchor_scale = detector, channels, anchor_scale
        self.head_norm, self.freeze_norms = head_norm, freeze_norms

    def check(self, recipe: "Recipe") -> None:
        from attnbench.detection.metrics import require_backend

        require_backend()
        for key, neutral in CLASSIFICATION_ONLY.items():
            if (value := getattr(recipe, key)) != neutral:
                raise OptionError(
                    key, value, f"must be {neutral} in detection: it changes labels, or images without their boxes"
                )

    def build_network(self, config: RunConfig, data: DataSet, image_size: int) -> "Detector":
        from attnbench.build import build_network
        from attnbench.detection.detector import Detector

        assert isinstance(data, DetectionSet)
        join = partial(Detector, family=self.detector, options=self.options(data, image_size))
        return build_network(config, join, data, image_size)

    def options(self, data: DetectionSet, image_size: int) -> "DetectorOptions":
        """Return the size of a detector for a data set, with every `auto` resolved by the images' size."""
        from attnbench.detection.detector import FAMILIES
        from attnbench.detection.stage_maps import DetectorOptions

        large = image_size >= LARGE_FROM
        scale = FAMILIES[self.detector].anchor_scale / (1 if large else 2)
        return DetectorOptions(
            classes=data.num_classes,
            mean=data.mean,
            std=data.std,
            min_size=image_size,
            max_size=max(data.max_size, image_size),
            channels=(CHANNELS if large else SMALL_CHANNELS) if self.channels == "auto" else int(self.channels),
            anchor_scale=scale if self.anchor_scale == "auto" else float(self.anchor_scale),
            head_norm=not large if self.head_norm == "auto" else bool(self.head_norm),
            freeze_norms=self.freeze_norms,
        )

    def probe_losses(self, net: Any, images: "Tensor", classes: int) -> "dict[str, Tensor]":
        import torch

        side = images.shape[-1]
        box = torch.tensor([[side / 4, side / 4, 3 * side / 4, 3 * side / 4]], device=images.device)
        labels = torch.arange(len(images), device=images.device)[:, None] % classes + 1
        targets = [{"boxes": box, "labels": label} for label in labels]
        with _as_trained(net, images):
            losses: dict[str, Tensor] = net(list(images), targets)
        return losses

    def probe_forward(self, net: Any, images: "Tensor") -> None:
        with _as_trained(net, images):
            net(list(images))

    def overfit(self, experiment: "Experiment", module: Any, say: Callable[[str], None]) -> bool:
        from attnbench.detection.overfit import overfit

        return overfit(module, say)

    def make_loaders(self, data: DataSet, placement: "Placement") -> "DetectionLoaders":
        from attnbench.detection.loaders import DetectionLoaders

        return DetectionLoaders(data, placement)

    def make_module(self, net: Any, *arguments: Any) -> "DetectionModule":
        from attnbench.detection.module import DetectionModule

        return DetectionModule(net, *arguments)


def _as_trained(net: "Detector", images: "Tensor") -> "torch.autocast":
    """Let a detector compute in bfloat16 where autocast is on, as in training: not the heads."""
    import torch

    kind = images.device.type
    net.compute_in(bf16=torch.is_autocast_enabled(kind))
    return torch.autocast(kind, enabled=False)
