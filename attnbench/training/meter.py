"""Counting on the device: no step waits for the host."""

from typing import Any

import torch
from torch import Tensor

TOP = 5
"""Top-5 accuracy, which means nothing below six classes."""


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

    def add_losses(self, batch: int, size: int, losses: dict[str, Tensor]) -> None:
        """Keep the mean losses of a batch of `size` images."""
        self.sizes[batch] = size
        for name, value in losses.items():
            if name not in self.losses:
                self.losses[name] = torch.zeros(len(self.sizes), device=self.device)
            self.losses[name][batch].copy_(value.detach())

    def add_hits(self, logits: list[Tensor], labels: list[Tensor]) -> None:
        """Count top-1 and top-5 hits of a few batches of logits (B, L) and labels (B,) at once."""
        best = torch.cat(logits).topk(self.top).indices
        hits = best.eq(torch.cat(labels)[:, None])
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
