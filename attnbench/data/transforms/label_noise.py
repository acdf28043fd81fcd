"""Training labels that are wrong on purpose, to measure how robust a network is to them."""

import torch
from torch import Tensor

from attnbench.data.transforms.augmentation import LabelNoise
from attnbench.seeding import derive_seed


def mislabel(labels: Tensor, epoch: int, noise: LabelNoise, classes: int, seed: int) -> Tensor:
    """Return the noisy labels (N,) of an epoch, on the device of the true ones, which are not changed.

    Each label is wrong with probability `noise.share`, independently of all others; it is then one of the other
    `classes` L with equal probability (eq. 7: Q has r on its diagonal and (1 - r) / (L - 1) elsewhere).

    Random numbers are drawn on the CPU and depend on seed and epoch only. They are the same at every share: a label
    that is wrong at share 0.1 is replaced by the same wrong label at share 0.5.
    """
    if noise.share == 0:
        return labels
    noise_seed = derive_seed(seed, "label noise", epoch if noise.resampled else 0)
    generator = torch.Generator().manual_seed(noise_seed)
    wrong = torch.rand(len(labels), generator=generator) < noise.share
    shift = torch.randint(1, classes, (len(labels),), generator=generator)  # never 0, which would be the true label
    return (labels + (shift * wrong).to(labels.device)) % classes
