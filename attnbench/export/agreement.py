"""How far two networks' outputs are apart, and how far they may be."""

import math
from collections.abc import Mapping

from torch import Tensor

TOLERANCE = 1e-4
"""The largest difference of an export, of values up to 1; of larger ones, as a part of the largest. Single precision
and other orders of summation give about 1e-6."""


def largest_difference(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Return the largest difference of any output.

    Each output's difference is divided by its largest absolute value, if that is above 1. The result is infinite where
    names or shapes differ, or a value is not a number.
    """
    if found.keys() != expected.keys():
        return math.inf
    return max(_difference(found[name], values) for name, values in expected.items())


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return math.inf
    if not expected.numel():
        return 0.0
    difference = float((found - expected).abs().max() / expected.abs().max().clamp_min(1))
    return math.inf if math.isnan(difference) else difference
