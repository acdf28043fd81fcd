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


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the terms of a loss."""
    terms = list(losses.values())
    return torch.stack(terms).sum() if len(terms) > 1 else terms[0]


class Meter:
    """Sum losses and correct predictions over one training epoch.

    Losses of single steps are stored and summed at the end, in the order of the steps; correct predictions are whole
    numbers. So the result does not depend on how many steps form a block.
    """

    def __init__(self, device: torch.device, batches: int, classes: int) -> None:
        self.device, self.classes, self.top = device, classes, min(TOP, classes)
        self.losses: dict[str, Tensor] = {}
        self.hits = torch.zeros(2, dtype=torch.int64, device=device)
        self.sizes = [0] * batches

    @torch.no_grad()
    def add(self, first: int, steps: Sequence[Step]) -> None:
        """Count consecutive steps at once.

        Args:
            first: number of the first step in its epoch.
            steps: the steps' metrics.
        """
        numbers = slice(first, first + len(steps))
        self.sizes[numbers] = [len(step.labels) for step in steps]
        for name in steps[0].losses:
            if name not in self.losses:
                self.losses[name] = torch.zeros(len(self.sizes), device=self.device)
            self.losses[name][numbers] = torch.stack([step.losses[name] for step in steps])
        best = torch.cat([step.logits for step in steps]).topk(self.top).indices
        hits = best.eq(torch.cat([step.labels for step in steps])[:, None])
        self.hits += torch.stack([hits[:, 0].sum(), hits.sum()])

    def read(self) -> dict[str, Any]:
        """Return mean losses, and accuracies as fractions, over all processes. Waits for the device."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64, device=self.device)
        sums = [sizes.sum(), *self.hits.double(), *((values.double() * sizes).sum() for values in self.losses.values())]
        total = torch.stack(sums)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
        images, top1, top5, *losses = total.tolist()
        named = dict(zip(self.losses, losses, strict=True))
        result = {LOSS: sum(named.values()) / images, **accuracies(top1, top5, images, self.classes)}
        terms = {f"{LOSS}/{name}": value / images for name, value in named.items()} if len(named) > 1 else {}
        return {**result, **terms, IMAGES: int(images)}


def accuracies(top1: float, top5: float, images: float, classes: int) -> dict[str, float | None]:
    """Return correct predictions as fractions of the images; top-5 is None below six classes."""
    return {
        TOP1: top1 / images,
        TOP5: top5 / images if classes > TOP else None,
    }
