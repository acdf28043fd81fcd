"""Changes to training batches after they are made: erased boxes, images mixed with each other, soft targets.

All random numbers of an epoch are drawn at its start, from seed and epoch only, and indexed by an image's position in
the epoch. So they depend neither on how many steps form a block, nor on validation or a resumption.
"""

from typing import NamedTuple

from torch import Tensor

from attnbench.data.loaders.base import Loader
from attnbench.data.transforms.erasing import Erasing
from attnbench.data.transforms.mixing import Mixing
from attnbench.seeding import derive_seed
from attnbench.training.recipe import Recipe, probabilities


class ChangedBatch(NamedTuple):
    """A training batch as the network is trained on it.

    Attributes:
        images: (B, C, H, W).
        targets: what the losses take: (B,) class indices, or (B, L) probabilities where labels are smoothed or mixed.
        labels: (B,), the labels that training accuracy counts: of a mixed image the one with the larger share.
    """

    images: Tensor
    targets: Tensor
    labels: Tensor


class BatchChanges:
    """Changes the batches of one training epoch as a recipe says.

    Args:
        recipe: how the network is trained.
        loader: makes the batches.
        classes: L.
        seed: the run's.
        epoch: counted from 0.
    """

    def __init__(self, recipe: Recipe, loader: Loader, classes: int, seed: int, epoch: int) -> None:
        self.classes, self.smoothing = classes, recipe.label_smoothing
        shape, device = (loader.count, loader.height, loader.width), loader.placement.device
        self.erasing = Erasing(recipe, *shape, derive_seed(seed, "erasing", epoch), device) if recipe.erases else None
        self.mixing = Mixing(recipe, *shape, derive_seed(seed, "mixing", epoch), device) if recipe.mixes else None

    def __call__(self, images: Tensor, labels: Tensor, mine: slice) -> ChangedBatch:
        """Change a batch.

        Args:
            images: (B, C, H, W), normalised.
            labels: (B,).
            mine: the positions of the images in the epoch.
        """
        if self.erasing is not None:
            images = self.erasing.erase(images, mine)
        if self.mixing is None:
            targets = probabilities(labels, self.classes, self.smoothing) if self.smoothing else labels
            return ChangedBatch(images, targets, labels)
        targets = self.mixing.targets(probabilities(labels, self.classes, self.smoothing), mine)
        return ChangedBatch(self.mixing.images(images, mine), targets, self.mixing.dominant(labels, mine))
