"""Summaries of a metric's values over seeds, on plain numbers.

Every float is in the metric's unit. Values must be finite: diverged runs are left out before. Means and deviations are
the standard library's, exact before one rounding, so that equal values deviate by 0.0; intervals are SciPy's, each for
one mean at one look. Verdicts do not rest on them, but on `anytime`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np
from scipy import stats

from attnbench.errors import require, require_choice

METHODS = ("t", "bootstrap")


@dataclass(frozen=True)
class Summary:
    """Summary of n values.

    Attributes:
        std: standard deviation (ddof 1); None, as are the bounds, for a single value.
        low: lower bound of the mean's interval.
        high: upper bound of the mean's interval.
        method: kind of interval: `t`, `BCa`, or `percentile` where BCa is degenerate.
    """

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None


def summarise(values: Iterable[float], method: str = "t", level: float = 0.95) -> Summary | None:
    """Summarise a metric's values; None if there are none.

    Args:
        values: one per seed.
        method: `t` for normal values, or `bootstrap` (BCa: Efron, Better bootstrap confidence intervals, 1987). A
            bootstrapped interval stays within the range of the values, so with n values that are symmetric about the
            mean it covers the mean with a chance of at most 1 - 2^(1 - n): 0.75 for three. It takes at least six values
            to cover 95 %.
        level: of the interval.
    """
    _check(method, level)
    numbers = _finite(values)
    if len(numbers) < 2:
        return Summary(1, numbers[0]) if numbers else None
    center, std = mean(numbers), stdev(numbers)
    if method == "bootstrap":
        low, high, name = _bootstrap(numbers, level)
        return Summary(len(numbers), center, std, low, high, name)
    low, high = _interval(stats.ttest_1samp(numbers, 0), level) if std else (center, center)
    return Summary(len(numbers), center, std, low, high, "t")


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share, such as an accuracy over images."""
    interval = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def _interval(test: Any, level: float) -> tuple[float, float]:
    """Return the bounds of a t test's interval."""
    interval = test.confidence_interval(level)
    return float(interval.low), float(interval.high)


def _bootstrap(values: list[float], level: float) -> tuple[float, float, str]:
    """Return the interval (low, high) of the values' mean, and its kind."""
    center, scale = mean(values), stdev(values) or 1.0  # the interval scales with the values; cubes would overflow
    scaled = [(value - center) / scale for value in values]
    method = "percentile" if min(values) == max(values) else "BCa"  # BCa divides by the jackknife's spread
    generator = np.random.default_rng(0)
    found = stats.bootstrap((scaled,), _mean, confidence_level=level, method=method, random_state=generator)
    interval = found.confidence_interval
    return center + scale * float(interval.low), center + scale * float(interval.high), method


def _mean(sample: np.ndarray, axis: int = -1) -> Any:
    return np.round(np.mean(sample, axis=axis), 9)  # BCa counts draws equal to the mean; rounding would split such ties


def _finite(values: Iterable[float]) -> list[float]:
    numbers = [float(value) for value in values]
    for number in numbers:
        require(math.isfinite(number), "value", number, "must be finite; leave out diverged runs")
    return numbers


def _check(method: str, level: float) -> None:
    require_choice("method", method, METHODS)
    require(0 < level < 1, "level", level, "must be between 0 and 1")
