"""The task `classification`: one label for each image."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attnbench.config.validate import RunConfig
from attnbench.data.bases.dataset import DataSet
from attnbench.runs.metric_names import LOSS, TOP1, TOP5
from attnbench.training.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from attnbench.classifier import Classifier
    from attnbench.data.loaders.base import Placement
    from attnbench.data.loaders.make import LoaderFactory
    from attnbench.training.classification_module import ClassificationModule
    from attnbench.training.experiment import Experiment


class Classification(Task):
    """Classify images."""

    name = "classification"
    main_metric = TOP1
    test_metrics = (TOP1, TOP5, LOSS)

    def build_network(self, config: RunConfig, data: DataSet, image_size: int) -> "Classifier":
        from attnbench.build import build_model

        return build_model(config, data, image_size)

    def probe_losses(self, net: Any, images: "Tensor", classes: int) -> "dict[str, Tensor]":
        import torch

        labels = torch.arange(len(images), device=images.device) % classes
        losses: dict[str, Tensor] = net.losses(net.output(images), labels)
        return losses

    def probe_forward(self, net: Any, images: "Tensor") -> None:
        net(images)

    def overfit(self, experiment: "Experiment", module: Any, say: Callable[[str], None]) -> bool:
        from attnbench.training.debug import overfit

        return overfit(experiment, module.net, module, say)

    def make_loaders(self, data: DataSet, placement: "Placement") -> "LoaderFactory":
        from attnbench.data.loaders.make import LoaderFactory

        return LoaderFactory(data, placement)

    def make_module(self, net: Any, *arguments: Any) -> "ClassificationModule":
        from attnbench.training.classification_module import ClassificationModule

        return ClassificationModule(net, *arguments)
