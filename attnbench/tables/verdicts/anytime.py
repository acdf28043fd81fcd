"""Tests and intervals that stay valid however often somebody looks: more seeds may be added until a claim is decided.

A contrast is a sum of rows' means, each times a number w_i. Its estimate c has the effective number of seeds
k = 1 / sum(w_i^2 / n_i) and the standard error s / sqrt(k), where s is the standard deviation of a run with nu degrees
of freedom, pooled over rows. With t = (c - c0) / (s / sqrt(k)), the Bayes factor against c = c0 is

    B = (1 + g k)^(-1/2) * ((1 + t^2 / nu) / (1 + t^2 / ((1 + g k) nu)))^((nu + 1) / 2)

for a normal prior of variance g on the effect (c - c0) / sigma and the right Haar prior on sigma and all other means.
If c = c0, the chance that B ever exceeds 1 / alpha is at most alpha (Ville's inequality). So 1 / B is a p value at any
look, and the c0 with B < 1 / alpha are a confidence interval at all looks together. See Lindon, Ham, Tingley, Bojinov,
Anytime-valid linear models, 2022, and Wang, Ramdas, Anytime-valid t-tests and confidence sequences for Gaussian means
with unknown variance, 2024. The theorem is for one common variance and for seeds that are not chosen by the results;
`scripts/simulate_verdicts.py` shows how well it holds where seeds go to undecided rows only and where variances
differ, and compares prior variances and other procedures.
"""

import math
from dataclasses import dataclass

PRIOR_VARIANCE = 4.0
"""Of an effect in standard deviations of a run."""
LEVEL = 0.05
"""Chance of any wrong verdict in a table, at all looks together."""


@dataclass(frozen=True)
class Estimate:
    """An estimated contrast.

    Attributes:
        value: of the contrast, in the metric's unit.
        std: standard deviation of a run that the error is computed from; 0 if no run differs from another.
        size: effective number of seeds k; 1.5 for the difference of two rows with three seeds.
        freedom: degrees of freedom of `std`.
        n: seeds, of the row that has fewer.
        method: how the spread was estimated: `pooled`, `paired`, or `separate`.
    """

    value: float
    std: float
    size: float
    freedom: float
    n: int
    method: str = "pooled"

    @property
    def error(self) -> float:
        """Standard error of the value."""
        return self.std / math.sqrt(self.size)

    def p(self, null: float = 0.0) -> float | None:
        """Return the p value of a contrast that equals `null`, two-sided; None without spread."""
        if self.std == 0:
            return None
        return min(1.0, math.exp(-log_bayes_factor((self.value - null) / self.error, self.freedom, self.size)))

    def half_width(self, level: float = LEVEL) -> float:
        """Return half the width of the interval that is wrong with a chance of at most `level`; infinite if unbounded.

        This is the smallest difference that these seeds would have shown.
        """
        return critical_t(level, self.freedom, self.size) * self.error if self.std else math.inf

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """Return the interval that is wrong with a chance of at most `level`; None if it has no bounds."""
        half = self.half_width(level)
        return (self.value - half, self.value + half) if math.isfinite(half) else None


def log_bayes_factor(t: float, freedom: float, size: float, prior_variance: float = PRIOR_VARIANCE) -> float:
    """Return the logarithm of the Bayes factor against the null hypothesis.

    Args:
        t: Student's statistic.
        freedom: its degrees of freedom.
        size: effective number of seeds k.
        prior_variance: of the effect in standard deviations of a run.
    """
    shrink = 1 + prior_variance * size
    ratio = t / math.sqrt(freedom)
    return -math.log(shrink) / 2 + (freedom + 1) / 2 * (_log1p_square(ratio) - _log1p_square(ratio / math.sqrt(shrink)))


def critical_t(level: float, freedom: float, size: float, prior_variance: float = PRIOR_VARIANCE) -> float:
    """Return the t at which the Bayes factor is 1 / level; infinite where it stays below that for any t."""
    shrink = 1 + prior_variance * size
    exponent = 2 / (freedom + 1) * (math.log(shrink) / 2 - math.log(level))
    if exponent >= math.log(shrink):
        return math.inf
    bound = math.exp(exponent)
    return math.sqrt(freedom * (bound - 1) / (1 - bound / shrink))


def _log1p_square(ratio: float) -> float:
    """Return log(1 + ratio^2), also where the square would overflow."""
    return 2 * math.log(abs(ratio)) if abs(ratio) > 1e100 else math.log1p(ratio * ratio)
