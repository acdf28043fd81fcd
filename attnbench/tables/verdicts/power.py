"""How many seeds a difference needs to be decided by the anytime-valid test."""

import math
from bisect import bisect_left

import numpy as np
from scipy import stats

from attnbench.errors import require
from attnbench.tables.verdicts.anytime import Estimate, critical_t

MOST_SEEDS = 10_000
"""Where the search for the number of seeds needed ends."""


def seeds_needed(difference: float, estimate: Estimate, level: float, power: float = 0.8) -> int | None:
    """Return the fewest seeds per row, more than there are, with which a test shows a difference.

    All rows are assumed to get as many seeds, and to spread as they do. Earlier looks may decide sooner.

    Args:
        difference: the true one.
        estimate: of the contrast now, for its spread and what a seed adds to its size and degrees of freedom.
        level: of the test.
        power: chance of showing it.

    Returns:
        None if there is no spread, no difference, or if more than 10,000 seeds are needed.
    """
    require(0 < power < 1, "power", power, "must be between 0 and 1")
    if difference == 0 or estimate.std == 0 or estimate.n < 2:
        return None
    sizes = range(estimate.n + 1, MOST_SEEDS + 1)
    position = bisect_left(sizes, True, key=lambda n: power_at(n, difference, estimate, level) >= power)
    return sizes[position] if position < len(sizes) else None


def power_at(n: int, difference: float, estimate: Estimate, level: float) -> float:
    """Return the chance that a look at n seeds a row shows a difference."""
    size = estimate.size * n / estimate.n
    freedom = estimate.freedom * (n - 1) / (estimate.n - 1)
    bound = critical_t(level, freedom, size)
    return chance_beyond(bound, freedom, abs(difference) / estimate.std * math.sqrt(size)) if bound < math.inf else 0.0


def chance_beyond(bound: float, freedom: float, shift: float) -> float:
    """Return the chance that Student's t with a shift (noncentrality) is beyond a bound on either side.

    The statistic is (Z + shift) / S with a normal Z and S^2 chi-squared over its degrees of freedom. So the chance is
    the mean over Z of P(S < |Z + shift| / bound), here a sum over evenly spaced Z, right to 2e-5. SciPy's noncentral t
    warns or gives nan at some sizes and shifts, which differ between its versions.
    """
    step = min(0.02, max(0.001, bound / math.sqrt(2 * freedom)))  # no wider than S spreads, so that the sum is right
    z = np.arange(-9, 9, step)
    ratio = np.minimum(np.abs(z + shift) / bound, 1e6)  # 1e6 deviations are certain; squares of more may overflow
    return float(np.sum(stats.norm.pdf(z) * stats.chi2.cdf(freedom * ratio**2, freedom)) * step)
