"""Which rows of a column have a common variance: those that Bartlett's test does not tell apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DOUBT = 0.05
"""Level of Bartlett's test, below which the row that differs most from the others keeps its own variance."""

WIDER = 0.75
"""Quantile of F above which compared rows spread too much more than the pool to take its degrees of freedom."""

Floats = NDArray[np.float64]


def bartlett(freedoms: Floats, variances: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Return the p values of Bartlett's test for equal variances; 1 where fewer than two rows are chosen.

    See Bartlett, Properties of sufficiency and statistical tests, 1937. `scipy.stats.bartlett` takes the values of one
    table; this takes the variances of many tables, for the simulation.

    Args:
        freedoms: (..., R) degrees of freedom of each row.
        variances: (..., R).
        chosen: (..., R) rows that are tested; their variances are above 0.
    """
    weights = np.where(chosen, freedoms, 0.0)
    total, groups = weights.sum(-1), chosen.sum(-1)
    safe = np.where(chosen, variances, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (weights * safe).sum(-1) / total
        inverse = np.where(chosen, 1 / np.where(chosen, freedoms, 1.0), 0.0).sum(-1)
        numerator = total * np.log(pooled) - (weights * np.log(safe)).sum(-1)
        statistic = numerator / (1 + (inverse - 1 / total) / (3 * np.maximum(groups - 1, 1)))
        return np.where(groups > 1, stats.chi2.sf(statistic, np.maximum(groups - 1, 1)), 1.0)


def most_different(freedoms: Floats, variances: Floats, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return (...) the chosen row whose variance differs most from the others' pooled one, by the F test's p value."""
    weights = np.where(chosen, freedoms, 0.0)
    sums = weights * np.where(chosen, variances, 0.0)
    others = weights.sum(-1, keepdims=True) - weights
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = variances / ((sums.sum(-1, keepdims=True) - sums) / others)
        tail = np.minimum(stats.f.cdf(ratio, freedoms, others), stats.f.sf(ratio, freedoms, others))
    return np.argmin(np.where(chosen & np.isfinite(tail), tail, 2.0), axis=-1)


def alike(freedoms: Any, variances: Any, doubt: float = DOUBT) -> NDArray[np.bool_]:
    """Return (..., R) which rows have a common variance.

    Rows without spread are left out. While Bartlett's test is below `doubt`, the row that differs most is left out.
    """
    freedom, variance = (np.asarray(side, dtype=float) for side in (freedoms, variances))
    chosen = (variance > 0) & (freedom > 0)
    for _ in range(freedom.shape[-1]):
        doubtful = bartlett(freedom, variance, chosen) < doubt
        if not doubtful.any():
            break
        worst = most_different(freedom, variance, chosen)
        dropped = np.arange(freedom.shape[-1]) == worst[..., None]
        chosen = chosen & ~(dropped & doubtful[..., None])
    return chosen


def borrow(own: Any, own_freedom: Any, common: Any, freedom: Any) -> Any:
    """Return whether compared rows may take the pool's degrees of freedom: their variance is not much above the pool's.

    Args:
        own: variance of a run, by the compared rows alone.
        own_freedom: degrees of freedom of the compared rows together.
        common: variance of the pool.
        freedom: degrees of freedom of the pool.
    """
    return stats.f.cdf(own / common, own_freedom, freedom) <= WIDER


def bartlett_of(rows: Sequence[tuple[float, float]]) -> float:
    """Return the p value of Bartlett's test for the rows of one table, each its degrees of freedom and its variance."""
    freedoms, variances = (np.array(side, dtype=float) for side in zip(*rows, strict=True))
    return float(bartlett(freedoms, variances, np.ones(len(rows), dtype=bool)))
