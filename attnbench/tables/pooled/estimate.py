"""Differences to a baseline within blocks, and their pooling over blocks by a random-effects model, on plain numbers.

Within a block all arms are assumed to have one variance over seeds, which then has more degrees of freedom than any
two arms alone; where Bartlett's test contradicts that, each difference has Welch's standard error. A difference's
interval is that of the claims' verdicts, valid at any number of looks (see `verdicts.anytime`). Over blocks,
true differences are assumed to be normal around a common mean with standard deviation tau (Paule and Mandel, 1982). The
interval of that mean is Hartung and Knapp's (2001), with Röver, Knapp and Friede's correction (2015) for few blocks: it
is never narrower than the t interval of the plain random-effects standard error. Zeros of spread carry no information:
such a difference has no standard error, and is not pooled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, variance

import numpy as np
from scipy import stats

from attnbench.tables.verdicts.anytime import critical_t
from attnbench.tables.verdicts.estimates import estimate

LEVEL = 0.95
HOMOGENEITY_LEVEL = 0.05
"""Arms of a block whose variances differ at this level are not given a common one."""
Arms = Mapping[str, Sequence[float]]
"""A metric's values over seeds, by arm; each arm has at least one."""


@dataclass(frozen=True)
class Effect:
    """The mean of an arm minus that of its block's baseline.

    Attributes:
        se: standard error; None, as is `df`, where there is no spread to judge by.
        df: degrees of freedom of the standard error.
        size: effective number of seeds, 1 / (1 / n + 1 / m) of arms with n and m; 1.5 for three each.
    """

    mean: float
    se: float | None = None
    df: float | None = None
    size: float = 1.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference, at any number of looks; None without a spread, or where unbounded."""
        if self.se is None or self.df is None:
            return None
        half = critical_t(1 - LEVEL, self.df, self.size) * self.se
        return (self.mean - half, self.mean + half) if math.isfinite(half) else None


@dataclass(frozen=True)
class PooledEffect:
    """The mean of a method's difference over blocks.

    Attributes:
        interval: the 95 % interval of the mean.
        tau: standard deviation of the true differences between blocks.
        i2: share of the variation between blocks that is not due to seeds, from 0 to 1 (Higgins and Thompson, 2002).
        prediction: where the true difference of a new block lies with 95 % (Higgins, Thompson and Spiegelhalter, 2009);
            None for fewer than three blocks.
        weights: of the blocks, which sum to 1.
    """

    mean: float
    interval: tuple[float, float]
    tau: float
    i2: float
    prediction: tuple[float, float] | None
    weights: tuple[float, ...]


def block_effects(arms: Arms, baseline: str) -> dict[str, Effect]:
    """Return the difference of every other arm of a block to its baseline."""
    common = _common_variance(list(arms.values())) if similar_variances(arms) else None
    other = arms[baseline]
    return {name: _effect(values, other, common) for name, values in arms.items() if name != baseline}


def similar_variances(arms: Arms) -> bool:
    """Return whether Bartlett's test leaves the arms' variances equal; arms without spread are not tested."""
    spread = [values for values in arms.values() if len(values) > 1 and variance(values) > 0]
    return len(spread) < 2 or bool(stats.bartlett(*spread).pvalue >= HOMOGENEITY_LEVEL)


def _common_variance(arms: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Return the variance within arms and its degrees of freedom; None if no arm has two values."""
    df = sum(len(values) - 1 for values in arms)
    squares = math.fsum((len(values) - 1) * variance(values) for values in arms if len(values) > 1)
    return (squares / df, float(df)) if df else None


def _effect(arm: Sequence[float], other: Sequence[float], common: tuple[float, float] | None) -> Effect:
    difference, size = mean(arm) - mean(other), 1 / (1 / len(arm) + 1 / len(other))
    if common is not None:
        error, df = math.sqrt(common[0] / size), common[1]
    else:
        sides = {sign: (sign, dict(enumerate(values))) for sign, values in ((1.0, arm), (-1.0, other))}
        welch = estimate(sides, pool=None)
        error, df = (welch.error, welch.freedom) if welch else (0.0, 0.0)
    return Effect(difference, error, df, size) if error > 0 else Effect(difference)


def pool(effects: Sequence[Effect]) -> PooledEffect | None:
    """Pool the differences of one method, one for each block; None for fewer than two with a standard error.

    Differences without a standard error are left out; the weights are those of the others, in their order.
    """
    known = [(effect.mean, effect.se) for effect in effects if effect.se is not None]
    if len(known) < 2:
        return None
    from statsmodels.stats.meta_analysis import combine_effects

    means, errors = (np.array(column) for column in zip(*known, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):  # statsmodels' own I² of equal effects
        fit = combine_effects(means, errors**2, method_re="pm")
    center, tau2 = float(fit.mean_effect_re), float(fit.tau2)
    error = math.sqrt(max(float(fit.var_hksj_re), float(fit.var_eff_w_re)))
    excess = float(fit.q) - (len(known) - 1)
    return PooledEffect(
        center,
        _around(center, error, len(known) - 1),
        math.sqrt(tau2),
        excess / float(fit.q) if excess > 0 else 0.0,
        _around(center, math.hypot(math.sqrt(tau2), error), len(known) - 2) if len(known) > 2 else None,
        tuple(float(weight) for weight in fit.weights_rel_re),
    )


def _around(center: float, error: float, df: float) -> tuple[float, float]:
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error
    return center - half, center + half
