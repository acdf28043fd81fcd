"""Training metrics that are counted on the device, so that no step waits for the host."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attnbench.runs.metric_names import IMAGES, LOSS, TOP1, TOP5

TOP = 5
"""Top-5 accuracy, which means nothing below six classes."""


class ImageCountError(RuntimeError):
    """A pass over a split did not take in each of its images once, so its result is none of the split."""


def require_images(split: str, images: int, planned: int) -> None:
    """Check that a pass took in as many images as it was to. Raises `ImageCountError`."""
    if images != planned:
        raise ImageCountError(
            f"{images:,} {split} images were counted, and there are {planned:,}; the processes of this run do not"
            " share one world"
        )


class ImageCounter:
    """Number of training images that a run has seen, over all processes, counted on the host for progress bars."""

    images = 0


class Step(NamedTuple):
    """Metrics of one optimiser step; no tensor holds a graph.

    Attributes:
        losses: mean losses by name.
        logits: (B, L).
        labels: (B,).
    """

    losses: dict[str, Tensor]
    logits: Tensor
    labels: Tensor

    @property
    def images(self) -> int:
        """B."""
        return len(self.labels)


class LossStep(NamedTuple):
    """A step of which losses alone are counted. losses: their means by name. images: B."""

    losses: dict[str, Tensor]
    images: int


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the terms of a loss."""
    terms = list(losses.values())
    return torch.stack(terms).sum() if len(terms) > 1 else terms[0]


class LossMeter:
    """Sum losses over one training epoch.

    Losses of single steps are stored and summed at the end, in the order of the steps, so that the result does not
    depend on how many steps form a block.

    Args:
        device: where losses are stored.
        batches: of the epoch.
    """

    def __init__(self, device: torch.device, batches: int) -> None:
        self.device = device
        self.losses: dict[str, Tensor] = {}
        self.sizes = [0] * batches

    @torch.no_grad()
    def add(self, first: int, steps: Sequence[Any]) -> None:
        """Count consecutive steps at once.

        Args:
            first: number of the first step in its epoch.
            steps: the steps' metrics, `Step` or `LossStep`.
        """
        numbers = slice(first, first + len(steps))
        self.sizes[numbers] = [step.images for step in steps]
        for name in steps[0].losses:
            if name not in self.losses:
                self.losses[name] = torch.zeros(len(self.sizes), device=self.device)
            self.losses[name][numbers] = torch.stack([step.losses[name] for step in steps])

    def read(self) -> dict[str, Any]:
        """Return mean losses and the number of images, over all processes. Waits for the device."""
        return self._means([])[1]

    def _means(self, more: Sequence[Tensor]) -> tuple[list[float], dict[str, Any]]:
        """Return sums of further counts over all processes, and what `read` does."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64, device=self.device)
        sums = [sizes.sum(), *more, *((values.double() * sizes).sum() for values in self.losses.values())]
        total = torch.stack(sums)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
        images, *rest = total.tolist()
        named = dict(zip(self.losses, rest[len(more) :], strict=True))
        terms = {f"{LOSS}/{name}": value / images for name, value in named.items()} if len(named) > 1 else {}
        return rest[: len(more)], {LOSS: sum(named.values()) / images, **terms, IMAGES: int(images)}


class Meter(LossMeter):
    """Sum losses and correct predictions over one training epoch. Correct predictions are whole numbers.

    Args:
        device: where they are counted.
        batches: of the epoch.
        classes: L.
    """

    def __init__(self, device: torch.device, batches: int, classes: int) -> None:
        super().__init__(device, batches)
        self.classes, self.top = classes, min(TOP, classes)
        self.hits = torch.zeros(2, dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, first: int, steps: Sequence[Step]) -> None:
        super().add(first, steps)
        best = torch.cat([step.logits for step in steps]).topk(self.top).indices
        hits = best.eq(torch.cat([step.labels for step in steps])[:, None])
        self.hits += torch.stack([hits[:, 0].sum(), hits.sum()])

    def read(self) -> dict[str, Any]:
        """Return mean losses, and accuracies as fractions, over all processes. Waits for the device."""
        (top1, top5), means = self._means([*self.hits.double()])
        accuracy = accuracies(top1, top5, means[IMAGES], self.classes)
        return {LOSS: means.pop(LOSS), **accuracy, **means}


def accuracies(top1: float, top5: float, images: float, classes: int) -> dict[str, float | None]:
    """Return correct predictions as fractions of the images; top-5 is None below six classes."""
    return {
        TOP1: top1 / images,
        TOP5: top5 / images if classes > TOP else None,
    }
