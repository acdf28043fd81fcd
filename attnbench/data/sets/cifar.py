"""CIFAR-10 and CIFAR-100: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

Read in torchvision's standard layout: `root` holds `cifar-10-batches-py` or `cifar-100-python`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from attnbench.data.bases.dataset import SplitDataSet
from attnbench.data.bases.torchvision_layout import TorchvisionLayout
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import hold_out
from attnbench.errors import require

IMAGES = 50_000
"""Training images of each set."""


class CIFAR(TorchvisionLayout, SplitDataSet):
    """Base of CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images of 32x32 pixels.

    Args:
        train_images: number of training images used, including those held out; fewer than all are balanced over the
            classes and the same for every seed. All test images are used.
        options: see `TorchvisionLayout`.
    """

    image_size = 32
    channels = 3
    counts = (IMAGES, 10_000)
    terms = "none stated; citation asked for"

    def __init__(self, train_images: int | Literal["all"] = "all", **options: Any) -> None:
        self.train_images = IMAGES if train_images == "all" else train_images
        require(1 <= self.train_images <= IMAGES, "train_images", train_images, f"must be all, or from 1 to {IMAGES}")
        super().__init__(**options)

    @property
    def class_counts(self) -> Sequence[int]:  # type: ignore[override]  # known once the options are
        """Training images of each class: the first ones have one more where they cannot be equal."""
        each, more = divmod(self.train_images, len(self.classes))
        return [each + (label < more) for label in range(len(self.classes))]

    def fingerprint(self) -> str:
        return self.name  # torchvision checks every file against the published md5

    def read(self, train: bool) -> Arrays:
        try:
            split = self.fetch(train=train)
        except RuntimeError as error:
            raise self.damaged_error(self.root / self.folder) from error
        arrays = Arrays(np.asarray(split.data, dtype=np.uint8), np.asarray(split.targets, dtype=np.int64))
        return arrays.take(hold_out(arrays.labels, self.train_images)) if train else arrays


class CIFAR10(CIFAR):
    """Ten classes with 5,000 training images each."""

    name = "cifar10"
    torchvision_class = "CIFAR10"
    folder = "cifar-10-batches-py"
    download_size = "170 MB"
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR100(CIFAR):
    """A hundred classes with 500 training images each."""

    name = "cifar100"
    torchvision_class = "CIFAR100"
    folder = "cifar-100-python"
    download_size = "169 MB"
    classes = tuple(
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "  # noqa: SIM905
        "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
        "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard "
        "lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
        "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal "
        "shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
        "telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm".split()
    )
