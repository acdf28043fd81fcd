"""Counting on the device: no step waits for the host."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

TOP = 5
"""Top-5 accuracy, which means nothing below six classes."""


class ImageCounter:
    """How many training images a run has seen, over all processes. Counted by the host, for those who watch."""

    images = 0


class Step(NamedTuple):
    """What is counted of an optimiser step: mean losses by name, logits (B, L), labels (B,); none holds a graph."""

    losses: dict[str, Tensor]
    logits: Tensor
    labels: Tensor


class Meter:
    """Losses and hits of one training epoch.

    Losses of single steps are kept and summed at the end, in the order of the steps; hits are whole numbers. So the
    result does not depend on how many steps a block has.
    """

    def __init__(self, device: torch.device, batches: int, classes: int) -> None:
        self.device, self.classes, self.top = device, classes, min(TOP, classes)
        self.losses: dict[str, Tensor] = {}
        self.hits = torch.zeros(2, dtype=torch.int64, device=device)
        self.sizes = [0] * batches

    @torch.no_grad()
    def add(self, first: int, steps: Sequence[Step]) -> None:
        """Count consecutive steps at once. first: number of the first one in its epoch."""
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
        """Mean losses and accuracies as fractions, over all processes. Waits for the device."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64, device=self.device)
        sums = [sizes.sum(), *self.hits.double(), *((values.double() * sizes).sum() for values in self.losses.values())]
        total = torch.stack(sums)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
        images, top1, top5, *losses = total.tolist()
        named = dict(zip(self.losses, losses, strict=True))
        result = {"loss": sum(named.values()) / images, **accuracies(top1, top5, images, self.classes)}
        terms = {f"loss/{name}": value / images for name, value in named.items()} if len(named) > 1 else {}
        return {**result, **terms, "images": int(images)}


def accuracies(top1: float, top5: float, images: float, classes: int) -> dict[str, float | None]:
    """Hits as fractions of the images; top-5 is None below six classes."""
    return {
        "top1_accuracy": top1 / images,
        "top5_accuracy": top5 / images if classes > TOP else None,
    }
