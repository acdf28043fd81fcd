"""Training labels that are wrong on purpose: what a network makes of them tells how robust it is."""

import torch
from torch import Tensor

from attnbench.data.transforms.augmentation import LabelNoise
from attnbench.seeding import derive_seed


def mislabel(labels: Tensor, epoch: int, noise: LabelNoise, classes: int, seed: int) -> Tensor:
    """The labels (N,) that an epoch is trained on, on the device of the true ones, which stay as they are.

    Each label is wrong with probability `noise.share`, independently of all others; then it is any other one of the
    `classes` L with equal probability (eq. 7: Q has r on its diagonal and (1 - r) / (L - 1) elsewhere).

    Draws are made on the CPU and depend on seed and epoch alone. They are the same at every share: labels that are
    wrong at a tenth are wrong, and the same, at a half.
    """
    if noise.share == 0:
        return labels
    drawn = derive_seed(seed, "label noise", epoch if noise.resampled else 0)
    generator = torch.Generator().manual_seed(drawn)
    wrong = torch.rand(len(labels), generator=generator) < noise.share
    shift = torch.randint(1, classes, (len(labels),), generator=generator)  # never 0: no draw is the true label
    return (labels + (shift * wrong).to(labels.device)) % classes
