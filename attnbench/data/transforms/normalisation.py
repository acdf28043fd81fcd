"""Normalisation of pixels as one multiplication and one addition."""

from collections.abc import Sequence

import torch
from torch import Tensor


def scale_and_shift(mean: Sequence[float], std: Sequence[float], largest: int = 255) -> tuple[Tensor, Tensor]:
    """Return the factor and the summand (C,) that bring pixels to mean 0 and standard deviation 1.

    Args:
        mean: mean of each channel, for values in [0, 1].
        std: standard deviation of each channel, likewise.
        largest: the largest value of a pixel.
    """
    deviation = torch.tensor(std, dtype=torch.float32)
    return 1 / (largest * deviation), -torch.tensor(mean, dtype=torch.float32) / deviation
