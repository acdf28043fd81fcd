"""Summaries and tests of a metric's values over seeds, on plain numbers.

Every float is in the metric's unit. Values must be finite: diverged runs are left out before. Means and deviations are
the standard library's, exact before one rounding, so that equal values deviate by 0.0; tests and intervals are SciPy's.
"""

import math
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np
from scipy import stats

from attnbench.errors import require, require_choice

Values = Mapping[int, float]
"""A metric's value by seed."""

METHODS = ("t", "bootstrap")
ROUNDING = 4 * sys.float_info.epsilon
"""Relative error of a difference of rounded numbers: 0.3 - 0.2 is not quite 0.1."""


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


@dataclass(frozen=True)
class Difference:
    """Mean of a minus b.

    Attributes:
        low: lower bound of the interval; None, as are `high` and `p`, where there are too few values.
        p: two-sided.
        n: number of pairs if paired, otherwise seeds of the side that has fewer.
        std: of the paired differences, otherwise the root mean square of both sides' deviations, which a power
            calculation takes for each side.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    paired: bool
    n: int
    std: float | None = None

    @property
    def alike(self) -> bool:
        """Whether there is a difference without spread, whose p value of 0.0 no correction could raise."""
        return self.std == 0 and self.mean != 0


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
        low, high, name = _bootstrap([numbers], level)
        return Summary(len(numbers), center, std, low, high, name)
    low, high = _interval(stats.ttest_1samp(numbers, 0), level) if std else (center, center)
    return Summary(len(numbers), center, std, low, high, "t")


def compare(a: Values, b: Values, level: float = 0.95, method: str = "t") -> Difference | None:
    """Compare two sides by their values over seeds; None if either has no values.

    The test is paired by seed if the sides share at least two seeds and these are all seeds of one side; the other
    side's further seeds are then left out, also of the mean. Otherwise, with at least two seeds per side, it is Welch's
    (The generalization of 'Student's' problem, 1947). Otherwise there is only the difference of the means. Without any
    spread the interval has no width, and p is 0.0, or 1.0 if there is no difference either.

    Args:
        a: values by seed.
        b: values by seed.
        level: of the interval.
        method: of the interval only, as in `summarise`; p is always the t test's.
    """
    _check(method, level)
    first, second = (dict(zip(side, _finite(side.values()), strict=True)) for side in (a, b))
    if not first or not second:
        return None
    shared, fewer = sorted(first.keys() & second.keys()), min(len(first), len(second))
    if len(shared) == fewer >= 2:
        return _paired([first[seed] for seed in shared], [second[seed] for seed in shared], level, method)
    if fewer >= 2:
        return _welch(list(first.values()), list(second.values()), level, method)
    return Difference(mean(first.values()) - mean(second.values()), None, None, None, False, fewer)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Adjust p values so that the chance of any wrong rejection stays below the level.

    See Holm, A simple sequentially rejective multiple test procedure, 1979. None, a test that could not be made, is not
    counted.
    """
    counted = sorted((p, position) for position, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, position) in enumerate(counted):
        largest = max(largest, min(1.0, (len(counted) - rank) * p))  # step-down: none is below an earlier one
        adjusted[position] = largest
    return adjusted


def _paired(a: list[float], b: list[float], level: float, method: str) -> Difference:
    differences = [first - second for first, second in zip(a, b, strict=True)]
    n, center = len(differences), _without_rounding(mean(differences), a, b)
    std = _without_rounding(stdev(differences), a, b)
    if std == 0:
        return _constant(center, True, n)
    test = stats.ttest_1samp(differences, 0)
    low, high = _bootstrap([differences], level)[:2] if method == "bootstrap" else _interval(test, level)
    return Difference(center, low, high, float(test.pvalue), True, n, std)


def _welch(a: list[float], b: list[float], level: float, method: str) -> Difference:
    center, n = _without_rounding(mean(a) - mean(b), a, b), min(len(a), len(b))
    std = math.hypot(*(_without_rounding(stdev(side), a, b) for side in (a, b))) / math.sqrt(2)
    if std == 0:
        return _constant(center, False, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a side without spread, for which the result is right
        test = stats.ttest_ind(a, b, equal_var=False)
    low, high = _bootstrap([a, b], level)[:2] if method == "bootstrap" else _interval(test, level)
    return Difference(center, low, high, float(test.pvalue), False, n, std)


def _constant(center: float, paired: bool, n: int) -> Difference:
    """Return a difference without spread."""
    return Difference(center, center, center, 0.0 if center else 1.0, paired, n, 0.0)


def _interval(test: Any, level: float) -> tuple[float, float]:
    """Return the bounds of a t test's interval."""
    interval = test.confidence_interval(level)
    return float(interval.low), float(interval.high)


def _bootstrap(samples: list[list[float]], level: float) -> tuple[float, float, str]:
    """Return the interval (low, high) of a sample's mean, or of the difference of two samples' means, and its kind."""
    shifts = [mean(sample) for sample in samples]
    scale = max(stdev(sample) for sample in samples) or 1.0  # the interval scales with the values; cubes would overflow
    scaled = [[(value - shift) / scale for value in sample] for sample, shift in zip(samples, shifts, strict=True)]
    constant = all(min(sample) == max(sample) for sample in samples)
    method = "percentile" if constant else "BCa"  # BCa divides by the jackknife's spread
    generator = np.random.default_rng(0)
    found = stats.bootstrap(scaled, _mean_or_difference, confidence_level=level, method=method, random_state=generator)
    center, interval = shifts[0] - sum(shifts[1:]), found.confidence_interval
    return center + scale * float(interval.low), center + scale * float(interval.high), method


def _mean_or_difference(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
    first, *rest = (np.mean(sample, axis=axis) for sample in samples)
    return np.round(first - sum(rest), 9)  # BCa counts draws equal to the estimate; rounding would split such ties


def _without_rounding(value: float, *sides: list[float]) -> float:
    """Return the value, or 0.0 if it is within the rounding error of the sides' values."""
    return value if abs(value) > ROUNDING * max(abs(number) for side in sides for number in side) else 0.0


def _finite(values: Iterable[float]) -> list[float]:
    numbers = [float(value) for value in values]
    for number in numbers:
        require(math.isfinite(number), "value", number, "must be finite; leave out diverged runs")
    return numbers


def _check(method: str, level: float) -> None:
    require_choice("method", method, METHODS)
    require(0 < level < 1, "level", level, "must be between 0 and 1")
