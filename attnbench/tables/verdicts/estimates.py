"""Estimates of contrasts from runs' values, on plain numbers, with the spread that a test may assume.

Rows of a column are pooled where Bartlett's test does not tell their variances apart: correlation between rows over
seeds is near 0 in our runs, so pairing by seed would waste half of the degrees of freedom. Three safeguards keep the
verdicts valid where variances do differ (see `scripts/simulate_verdicts.py`): a row that fails the test keeps its own
variance; the variance is never taken smaller than that of the rows that are compared; and if theirs is above the upper
quartile of F over the pool's, they keep their own degrees of freedom too. A larger variance and fewer degrees of
freedom only lower a Bayes factor that counts, so the theorem behind it still holds. SciPy's Dunnett test, whose
intervals are narrower, holds for one look alone; it is the reference for one look in the simulation and in the tests.
"""

import math
import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, variance
from typing import TypeVar

from attnbench.tables.verdicts.anytime import Estimate
from attnbench.tables.verdicts.variances import alike, bartlett_of, borrow

K = TypeVar("K", bound=Hashable)
Values = Mapping[int, float]
"""A metric's value by seed."""
ROUNDING = 4 * sys.float_info.epsilon
"""Relative error of a difference of rounded numbers: 0.3 - 0.2 is not quite 0.1."""


@dataclass(frozen=True)
class Pool:
    """The rows of a column that have a common variance.

    Attributes:
        members: their keys.
        separate: keys of rows that keep their own variance.
        p: of Bartlett's test over all rows that have a spread, before any is left out; None for fewer than two.
    """

    members: frozenset[Hashable]
    separate: frozenset[Hashable]
    variance: float
    freedom: float
    p: float | None


def pool_rows(rows: Mapping[K, Values]) -> Pool:
    """Pool the variances of rows, by key, that have at least two values and are alike."""
    tested = {key: values for key, values in rows.items() if len(values) > 1}
    freedoms = {key: len(values) - 1 for key, values in tested.items()}
    variances = {key: variance_of(values) for key, values in tested.items()}
    chosen = alike(list(freedoms.values()), list(variances.values())).tolist() if tested else []
    members = [key for key, is_member in zip(tested, chosen, strict=True) if is_member]
    freedom = sum(freedoms[key] for key in members)
    pooled = math.fsum(freedoms[key] * variances[key] for key in members) / freedom if freedom else 0.0
    spread = [(freedoms[key], variances[key]) for key in tested if variances[key] > 0]
    p = bartlett_of(spread) if len(spread) > 1 else None
    return Pool(frozenset(members), frozenset(tested) - frozenset(members), pooled, float(freedom), p)


def estimate(units: Mapping[K, tuple[float, Values]], pool: Pool | None, paired: bool = False) -> Estimate | None:
    """Estimate a sum of means, each times a weight; None if a unit has no values.

    Args:
        units: weight and values of each row, by key.
        pool: of the column; None if the values are none of a column's.
        paired: whether values of one seed belong together, so that only seeds that all units have are used.
    """
    seeds = set.intersection(*(set(values) for _, values in units.values())) if units else set()
    if paired:
        units = {key: (weight, {seed: values[seed] for seed in seeds}) for key, (weight, values) in units.items()}
    if not units or not all(values for _, values in units.values()):
        return None
    n = min(len(values) for _, values in units.values())
    value = _without_rounding(math.fsum(weight * mean(values.values()) for weight, values in units.values()), units)
    size = 1 / math.fsum(weight**2 / len(values) for weight, values in units.values())
    if n < 2:
        return Estimate(value, 0.0, size, 0.0, n, "one seed")
    if paired:
        return _paired(value, size, units, sorted(seeds))
    own, freedom = _own_variance(size, units)
    together = sum(len(values) - 1 for _, values in units.values())
    if pool is not None and pool.members.issuperset(units) and borrow(own, together, pool.variance, pool.freedom):
        return Estimate(value, math.sqrt(max(pool.variance, own)), size, pool.freedom, n)
    return Estimate(value, math.sqrt(own), size, freedom, n, "separate")


def _paired(value: float, size: float, units: Mapping[K, tuple[float, Values]], seeds: Sequence[int]) -> Estimate:
    sums = {seed: math.fsum(weight * values[seed] for weight, values in units.values()) for seed in seeds}
    scale = math.fsum(weight**2 for weight, _ in units.values())
    std = _without_rounding(math.sqrt(variance_of(sums) / scale), units)
    return Estimate(value, std, size, len(seeds) - 1.0, len(seeds), "paired")


def _own_variance(size: float, units: Mapping[K, tuple[float, Values]]) -> tuple[float, float]:
    """Return the variance of a run and its degrees of freedom, from the compared rows alone.

    See Welch, The generalization of 'Student's' problem when several different population variances are involved, 1947.
    """
    shares = [
        (weight**2 * variance_of(values) / len(values), len(values) - 1) for weight, values in units.values()
    ]  # fmt: skip
    total = math.fsum(share for share, _ in shares)
    if total == 0:
        return 0.0, 1.0
    return total * size, 1 / math.fsum((share / total) ** 2 / freedom for share, freedom in shares)


def variance_of(values: Values) -> float:
    """Return the variance (ddof 1) of at least two values; 0 where they differ by rounding alone."""
    numbers = list(values.values())
    spread = max(numbers) - min(numbers)
    return 0.0 if spread <= ROUNDING * max(map(abs, numbers)) else variance(numbers)


def _without_rounding(value: float, units: Mapping[K, tuple[float, Values]]) -> float:
    """Return the value, or 0.0 if it is within the rounding error of the values."""
    largest = max(abs(weight * number) for weight, values in units.values() for number in values.values())
    return value if abs(value) > ROUNDING * largest else 0.0
