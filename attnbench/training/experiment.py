"""One experiment: what is made from a checked configuration, each part once.

torch is imported by the parts that need it: data set, identity and job of a run without weights from elsewhere do not.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.config.validate import RunConfig
from attnbench.construct import build_data, construct_as, guarded
from attnbench.data.bases.dataset import DataSet
from attnbench.data.splits import SPLITS, Split
from attnbench.errors import UserError
from attnbench.runs.folder import Job, output_folder
from attnbench.runs.identity import identity, readable_name
from attnbench.seeding import derive_seed
from attnbench.training.task import Task

if TYPE_CHECKING:
    from attnbench.classifier import Classifier, Network
    from attnbench.cost import Cost
    from attnbench.data.loaders.base import Loader
    from attnbench.data.transforms.policies import PolicyOptions
    from attnbench.training.datamodule import RunData
    from attnbench.training.distributed import World
    from attnbench.training.hardware import Hardware, TrainerOptions
    from attnbench.training.lightning_module import TrainingModule
    from attnbench.training.recipe import Recipe

DEFAULT_TASK = {"_target_": "attnbench.training.classification.Classification"}
"""Of configurations that were recorded before there was a choice."""


class Experiment:
    """A configuration's task, recipe, trainer options, data set, network and identity.

    Each part is built when it is first read and then kept, so planning, training, evaluation and counting costs share
    it. Reading a part raises `UserError` if the configuration's options for it make no sense.

    Args:
        config: a configuration whose names and types are checked.
        image_size: height and width in pixels of images that the network is built for, if not those of the data set.
    """

    def __init__(self, config: RunConfig, image_size: int | None = None) -> None:
        self.config = config
        self._image_size = image_size

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the images that the network is built for."""
        return self.data.image_size if self._image_size is None else self._image_size

    @cached_property
    def task(self) -> Task:
        """What the network is trained to do."""
        node = self.config.values.get("task", DEFAULT_TASK)
        return construct_as(Task, "task", node)  # type: ignore[type-abstract]  # only for isinstance

    @cached_property
    def recipe(self) -> "Recipe":
        """How the network is trained, with the learning rate for the run's steps."""
        from attnbench.training.recipe import Recipe

        recipe: Recipe = guarded("recipe", lambda: Recipe(**self.config["recipe"]))
        if not recipe.lr_batch_size:
            return recipe
        images = int(self.config["data"]["batch_size"]) * recipe.accumulate
        return recipe.for_steps_of(min(images, self.data.train_images - self.data.validation))

    @cached_property
    def options(self) -> "TrainerOptions":
        """The options of the group `trainer`."""
        from attnbench.training.hardware import TrainerOptions

        options: TrainerOptions = guarded("trainer", lambda: TrainerOptions(**self.config["trainer"]))
        return options

    @cached_property
    def data(self) -> DataSet:
        """The data set's description; no image is read."""
        return build_data(self.config, self.task.name)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that training reads: with `test=false`, not the test set."""
        tested = self.config.values.get("test", True)  # a primary config of the user's own may lack it
        return tuple(split for split in SPLITS if split != "test" or tested)

    @property
    def notes(self) -> list[str]:
        """What the configuration leaves open or without effect, in words: the stem, and the recipe's milestones."""
        from attnbench.build import stem_note

        return [note for note in (stem_note(self.config, self.data.image_size), self.recipe.note) if note]

    @cached_property
    def blueprint(self) -> "Network":
        """The network on the meta device: layers and shapes without memory for weights."""
        from attnbench.build import on_meta

        return on_meta(self.config, self._build)

    @cached_property
    def cost(self) -> "Cost":
        """Parameters and multiply-adds of the network for one image."""
        from attnbench.cost import count

        return count(self.blueprint, self.data.channels, self.image_size)

    @cached_property
    def identity(self) -> str:
        """The hash that names the run. Reads the data's fingerprint, and the weights' file if there is one."""
        return identity(self.config, self.data.fingerprint(), self._weights_identity())

    def _weights_identity(self) -> str | None:
        if self.config["backbone"].get("weights") is None:
            return None
        from attnbench.weights.load import identity_of

        return identity_of(self.config, self.blueprint.backbone)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    @property
    def output(self) -> Path:
        """The absolute path of the output folder. Raises `UserError` if its name is empty."""
        return output_folder(self.config["output"]).absolute()

    @property
    def job(self) -> Job:
        """The run to be done, as plain data that can be sent to another process."""
        return self.job_named(self.identity)

    def job_named(self, identity: str) -> Job:
        """Return the run to be done under an identity that is already known."""
        name = f"{readable_name(self.config)}-{identity}"
        return Job(self.config, identity, self.output / "runs" / name / f"seed{self.seed}")

    def build_network(self) -> "Network":
        """Build the network with the seed's initial weights, which are the same on every device."""
        import torch

        torch.manual_seed(derive_seed(self.seed, "initial weights"))
        return self._build()

    def build_classifier(self) -> "Classifier":
        """Build the network as `build_network` does. Raises `UserError` if it is no classifier."""
        from attnbench.classifier import Classifier

        net = self.build_network()
        if not isinstance(net, Classifier):
            raise UserError(f"this takes networks that classify images, and the task is {self.task.name}")
        return net

    def _build(self) -> "Network":
        return self.task.build_network(self.config, self.data, self.image_size)

    def open_data(
        self,
        hardware: "Hardware",
        splits: Sequence[Split] = SPLITS,
        world: "World | None" = None,
        policy: "PolicyOptions | None" = None,
    ) -> "RunData":
        """Open the data set's splits on a device; arguments as of `RunData`."""
        from attnbench.training.datamodule import RunData

        return RunData(self.data, hardware, self.seed, splits, world, policy, self.task.make_loaders)

    def make_module(
        self,
        net: "Network",
        hardware: "Hardware",
        loaders: "Mapping[str, Loader]",
        on_divergence: str | None = None,
    ) -> "TrainingModule":
        """Build what trains and evaluates the network; arguments as of `TrainingModule`."""
        return self.task.make_module(net, self.recipe, hardware, loaders, self.seed, on_divergence)
