"""The contract of a task: what networks of a run are trained to do, and what is measured. The group `task` chooses it.

`Experiment` takes everything that depends on the task from here, so that plan, training, resumption, evaluation, cost
and tables are the same for all tasks. Nothing here imports torch: finished runs are found without it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from attnbench.config.validate import RunConfig
from attnbench.data.bases.dataset import DataSet

if TYPE_CHECKING:
    from torch import Tensor

    from attnbench.classifier import Network
    from attnbench.data.loaders.base import Loader, Placement
    from attnbench.data.loaders.make import LoaderFactory
    from attnbench.training.experiment import Experiment
    from attnbench.training.hardware import Hardware
    from attnbench.training.lightning_module import TrainingModule
    from attnbench.training.recipe import Recipe


class Task(ABC):
    """What networks are trained to do.

    Attributes:
        name: the choice of `task`; a data set names the one that its labels are for.
        main_metric: what decides which epoch is best, by its name without the split.
        test_metrics: what a test measures, likewise.
    """

    name: ClassVar[str]
    main_metric: ClassVar[str]
    test_metrics: ClassVar[tuple[str, ...]]

    def check(self, recipe: "Recipe") -> None:  # noqa: B027 - classification takes every recipe
        """Check that a recipe can be trained by. Raises `OptionError`."""

    @abstractmethod
    def build_network(self, config: RunConfig, data: DataSet, image_size: int) -> "Network":
        """Build the network of a configuration, with fresh weights from torch's global generator. Raises `UserError`.

        Args:
            config: the run's.
            data: its data set.
            image_size: height and width in pixels of the images that the network is built for.
        """

    @abstractmethod
    def probe_losses(self, net: Any, images: "Tensor", classes: int) -> "dict[str, Tensor]":
        """Return the losses of images (B, C, H, W) with labels that are made up, to measure the speed of a step."""

    @abstractmethod
    def probe_forward(self, net: Any, images: "Tensor") -> None:
        """Run an evaluation's forward pass on images (B, C, H, W), to measure its speed."""

    @abstractmethod
    def overfit(self, experiment: "Experiment", module: Any, say: Callable[[str], None]) -> bool:
        """Train on a few images until they are learnt by heart, and return whether they are: `debug=overfit`.

        Args:
            experiment: the run that is tried out.
            module: trains its network, at the start of the first epoch.
            say: called with each line of the result.
        """

    @abstractmethod
    def make_loaders(self, data: DataSet, placement: "Placement") -> "LoaderFactory":
        """Build what makes the loaders of a data set's splits."""

    @abstractmethod
    def make_module(
        self,
        net: Any,
        recipe: "Recipe",
        hardware: "Hardware",
        loaders: "Mapping[str, Loader]",
        seed: int,
        on_divergence: str | None = None,
    ) -> "TrainingModule":
        """Build what trains and evaluates a network of this task; arguments as of `TrainingModule`."""
