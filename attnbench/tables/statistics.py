"""Summaries and tests of a metric's values over seeds: functions on numbers, which know no run and no table.

Every float is in the metric's own unit. Values must be finite: whoever collects runs leaves a diverged one out, with
the reason. Means and deviations are the standard library's, exact before one rounding: equal values deviate by 0.0.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np
from scipy import stats

from attnbench.errors import require, require_choice

Values = Mapping[int, float]
"""A metric's value by seed."""

METHODS = ("t", "bootstrap")
ROUNDING = 4 * sys.float_info.epsilon
"""What subtracting leaves of two equal numbers that were rounded, relative to the larger: 0.3 - 0.2 is not 0.1."""


@dataclass(frozen=True)
class Summary:
    """n values: mean, standard deviation (ddof 1) and the mean's interval, all None where one value has no spread.

    method: what the interval is: `t`, `BCa`, or `percentile` where BCa is degenerate.
    """

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None


@dataclass(frozen=True)
class Difference:
    """Mean of a minus b, its interval and two-sided p value, all three None where there are too few values.

    n: pairs if paired, else seeds of the side that has fewer. std: deviation of the paired differences, else the root
    mean square of both sides' deviations: what a power calculation takes for each side.
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
        """Whether there is a difference without any spread, whose p value of 0.0 no correction could raise."""
        return self.std == 0 and self.mean != 0


def summarise(values: Iterable[float], method: str = "t", level: float = 0.95) -> Summary | None:
    """Mean, deviation and interval of a metric's values; None if there are none.

    method: `t` (normal values), or `bootstrap` (BCa: Efron, Better bootstrap confidence intervals, 1987). The latter
    cannot leave the range of the values, so of n values it covers the mean with at most 1 - 2^(1 - n) where they lie
    evenly about it: 0.75 for three. It takes at least six to cover 95 %.
    """
    _check(method, level)
    numbers = _finite(values)
    if len(numbers) < 2:
        return Summary(1, numbers[0]) if numbers else None
    center, std = mean(numbers), stdev(numbers)
    if method == "bootstrap":
        low, high, name = _bootstrap([numbers], level)
        return Summary(len(numbers), center, std, low, high, name)
    low, high, _ = _t_test(center, std / math.sqrt(len(numbers)), len(numbers) - 1, level)
    return Summary(len(numbers), center, std, low, high, "t")


def compare(a: Values, b: Values, level: float = 0.95, method: str = "t") -> Difference | None:
    """How much larger a is than b; None if either has no values.

    Paired by seed if they share at least two seeds and these are all seeds of one side; the other side's further seeds
    are left out, of the mean as well. Else, with at least two seeds a side, Welch's test (The generalization of
    'Student's' problem, 1947). Else the difference of the means alone. Without any spread the interval has no width
    and p is 0.0, or 1.0 if there is no difference either.
    method: of the interval only, as in `summarise`; p is the t test's.
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
    """Adjusted p values that keep the chance of any wrong rejection below the level (Holm, A simple sequentially
    rejective multiple test procedure, 1979). None, a test that could not be made, is not counted.
    """
    counted = sorted((p, position) for position, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, position) in enumerate(counted):
        largest = max(largest, min(1.0, (len(counted) - rank) * p))  # step-down: none is below an earlier one
        adjusted[position] = largest
    return adjusted


def _paired(a: list[float], b: list[float], level: float, method: str) -> Difference:
    differences = [one - other for one, other in zip(a, b, strict=True)]
    n, center = len(differences), _unless_rounding(mean(differences), a, b)
    std = _unless_rounding(stdev(differences), a, b)
    low, high, p = _t_test(center, std / math.sqrt(n), n - 1, level)
    if method == "bootstrap" and std:
        low, high, _ = _bootstrap([differences], level)
    return Difference(center, low, high, p, True, n, std)


def _welch(a: list[float], b: list[float], level: float, method: str) -> Difference:
    center = _unless_rounding(mean(a) - mean(b), a, b)
    stds = [_unless_rounding(stdev(side), a, b) for side in (a, b)]
    errors = [std / math.sqrt(len(side)) for std, side in zip(stds, (a, b), strict=True)]
    error = math.hypot(*errors)
    low, high, p = _t_test(center, error, _welch_freedom(errors, error, (len(a), len(b))), level)
    if method == "bootstrap" and error:
        low, high, _ = _bootstrap([a, b], level)
    return Difference(center, low, high, p, False, min(len(a), len(b)), math.hypot(*stds) / math.sqrt(2))


def _welch_freedom(errors: list[float], error: float, sizes: tuple[int, int]) -> float:
    """Welch's degrees of freedom, from shares of the squared error: squares of the errors themselves may overflow."""
    if error == 0:
        return sum(sizes) - 2
    shares = [(one / error) * (one / error) for one in errors]
    return 1 / sum(share * share / (n - 1) for share, n in zip(shares, sizes, strict=True))


def _t_test(center: float, error: float, freedom: float, level: float) -> tuple[float, float, float]:
    """Interval (low, high) and two-sided p value of a mean with this standard error."""
    if error == 0:
        return center, center, 0.0 if center else 1.0
    half = error * float(stats.t.ppf((1 + level) / 2, freedom))
    return center - half, center + half, 2 * float(stats.t.sf(abs(center) / error, freedom))


def _bootstrap(samples: list[list[float]], level: float) -> tuple[float, float, str]:
    """Interval (low, high) of a sample's mean or of the first's minus the second's, and the method's name."""
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


def _unless_rounding(value: float, *sides: list[float]) -> float:
    """The value, or 0.0 if it is no more than what rounding the sides' values leaves."""
    return value if abs(value) > ROUNDING * max(abs(number) for side in sides for number in side) else 0.0


def _finite(values: Iterable[float]) -> list[float]:
    numbers = [float(value) for value in values]
    for number in numbers:
        require(math.isfinite(number), "value", number, "must be finite; leave a diverged run out")
    return numbers


def _check(method: str, level: float) -> None:
    require_choice("method", method, METHODS)
    require(0 < level < 1, "level", level, "must lie between 0 and 1")
