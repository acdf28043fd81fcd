"""Train and evaluate detectors: torchvision's losses, mean average precision, detections."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from attnbench.data.loaders.base import Epoch, Loader
from attnbench.detection.data.base import DetectionSet
from attnbench.detection.detections import SavedDetections
from attnbench.detection.detector import Detections, Detector
from attnbench.detection.loaders import FileLoader, MemoryLoader, Target
from attnbench.detection.metrics import DetectionMeter
from attnbench.training.lightning_module import ForwardPass, TrainingModule
from attnbench.training.metrics import LossMeter, LossStep


class DetectionModule(TrainingModule):
    """Train and evaluate a detector; arguments as of `TrainingModule`.

    In bf16, backbone and feature pyramid compute in bfloat16, and all that has to do with boxes in single precision.
    """

    net: Detector
    evaluation: DetectionMeter

    def __init__(self, net: Detector, *arguments: Any) -> None:
        super().__init__(net, *arguments)
        net.compute_in(bf16=self.hardware.precision == "bf16")
        if self.average is not None and isinstance(self.average.net, Detector):
            self.average.net.compute_in(bf16=self.hardware.precision == "bf16")

    # training

    def make_meter(self) -> LossMeter:
        return LossMeter(self.device, self.batches)

    def forward_pass(self, epoch: Epoch, number: int) -> ForwardPass:
        images, targets = epoch.batch(number)
        losses: dict[str, Tensor] = self.net(images, targets)
        named = {name.removeprefix("loss_"): loss for name, loss in losses.items()}
        return ForwardPass(None, named, targets, len(images))

    def step_of(self, done: ForwardPass) -> LossStep:
        return LossStep({name: loss.detach() for name, loss in done.losses.items()}, done.images)

    # evaluation

    def make_evaluation(self) -> DetectionMeter:
        return DetectionMeter(data_of(next(iter(self.loaders.values()))).classes)

    def evaluate_batch(self, net: Any, meter: Any, images: list[Tensor], targets: list[Target]) -> Detections:
        """Count a batch for a network, and return its detections in pixels of the original images."""
        found: Detections = net(images)
        for image, target in zip(found, targets, strict=True):
            image["boxes"] = image["boxes"] * target["scale"].to(image["boxes"].device)
        meter.add(found, targets)
        return found

    def predictions(self, classes: Sequence[str]) -> SavedDetections:
        loader = self.loaders["test"]
        data = data_of(loader)
        ids = data.image_ids("test")
        return SavedDetections(self.evaluation.detected, [ids[index] for index in loader.indices()], data.category_ids)


def data_of(loader: Loader) -> DetectionSet:
    """Return the data set of a loader."""
    assert isinstance(loader, MemoryLoader | FileLoader)
    return loader.data
