"""Judge a paper's claims by the runs: each is supported, contradicted, or inconclusive with so few seeds."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from attnbench.errors import require, require_choice
from attnbench.tables.report import Outcome
from attnbench.tables.statistics import Difference, Values, compare, holm

MOST_SEEDS = 10_000
"""Where the search for the number of seeds needed ends."""


@dataclass(frozen=True)
class Judgement:
    """A claim's outcome and the numbers behind it.

    Attributes:
        difference: first minus second, with its own interval that is not widened for the table's other claims; None
            where one of them has no runs.
        p: adjusted for the table's other claims (Holm); None where no test could be made.
        seeds_needed: seeds per side that would decide an inconclusive claim; None where that is unknown.
    """

    outcome: Outcome
    difference: Difference | None
    p: float | None
    seeds_needed: int | None


def judge(
    pairs: Sequence[tuple[Values, Values]], better: Literal["lower", "higher"], level: float = 0.95, power: float = 0.8
) -> list[Judgement]:
    """Judge together all claims of a table that the first of each pair is better than the second.

    A claim is decided if its p value, adjusted for all pairs, is below `1 - level`; the sign of the difference then
    says whether it is supported or contradicted. Differences without any spread are not tested: accuracies are counts
    of images, so two seeds may differ by equal amounts by chance.

    The seeds needed are those at which a test at the level where Holm's procedure stopped, alpha over the number of
    undecided claims, finds the observed difference with this power: at that level this claim would be decided, all
    others as they are. The observed difference is itself uncertain, so the number is a rough one.
    """
    require_choice("better", better, ("lower", "higher"))
    differences = [compare(first, second, level) for first, second in pairs]
    adjusted = holm([difference.p if difference and not difference.alike else None for difference in differences])
    alpha = 1 - level
    undecided = sum(p is not None and p >= alpha for p in adjusted)
    judgements = []
    for difference, p in zip(differences, adjusted, strict=True):
        if difference is None or p is None or p >= alpha:
            needed = _more_seeds_needed(difference, alpha / max(1, undecided), power)
            judgements.append(Judgement("inconclusive", difference, p, needed))
        else:
            as_claimed = (difference.mean < 0) == (better == "lower")
            judgements.append(Judgement("supported" if as_claimed else "contradicted", difference, p, None))
    return judgements


def combine(judgements: Sequence[Judgement]) -> Judgement:
    """Return the part that decides a claim of several parts.

    The claim is supported if all parts are, and contradicted if any is. Returned is, for a supported claim, the part
    with the largest p value; for a contradicted one, the contradicted part with the smallest; otherwise the
    inconclusive part that needs most seeds, where an unknown number counts as more than any known one.
    """
    require(len(judgements) > 0, "judgements", list(judgements), "a claim has at least one part")
    contradicted = [judgement for judgement in judgements if judgement.outcome == "contradicted"]
    if contradicted:
        return min(contradicted, key=_p)
    inconclusive = [judgement for judgement in judgements if judgement.outcome == "inconclusive"]
    if inconclusive:
        return max(inconclusive, key=_distance_from_decision)
    return max(judgements, key=_p)


def describe(judgement: Judgement) -> str:
    """Return the reason for an outcome in a few words: `p = 0.012`, `about 14 seeds would decide`."""
    if judgement.outcome == "inconclusive":
        return _what_is_missing(judgement)
    p = _p(judgement)
    return "p < 0.001" if p < 0.001 else f"p = {p:.3g}"


def seeds_needed(
    mean: float, std: float | None, paired: bool, alpha: float = 0.05, power: float = 0.8, least: int = 2
) -> int | None:
    """Return the fewest seeds per side, at least `least`, with which a two-sided t test detects this mean difference.

    See Cohen, Statistical Power Analysis, 1988, chapter 2.

    Args:
        mean: the difference to detect.
        std: of the differences if paired, otherwise of each side; None if it is unknown.
        paired: whether the test pairs the seeds.
        alpha: level of the test.
        power: chance of detecting the difference.
        least: the smallest number to return.

    Returns:
        None if `std` is unknown, if there is no difference to detect, or if more than 10,000 seeds are needed.
    """
    require(0 < alpha < 1, "alpha", alpha, "must be between 0 and 1")
    require(0 < power < 1, "power", power, "must be between 0 and 1")
    if std is None or mean == 0:
        return None
    effect = abs(mean) / std if std else math.inf
    sizes = range(least, MOST_SEEDS + 1)
    position = bisect_left(sizes, True, key=lambda n: _power(effect, n, paired, alpha) >= power)
    return sizes[position] if position < len(sizes) else None


def _power(effect: float, n: int, paired: bool, alpha: float) -> float:
    """Return the chance that a two-sided t test with n seeds per side detects an effect (mean over deviation).

    The statistic is noncentral t: (Z + shift) / S with a normal Z and S^2 chi-squared over its degrees of freedom. So
    the chance is the mean over Z of P(S < |Z + shift| / bound), here a sum over evenly spaced Z, right to 2e-5. SciPy's
    noncentral t warns or gives nan at some sizes and shifts, which differ between its versions.
    """
    freedom = n - 1 if paired else 2 * (n - 1)
    shift = effect * math.sqrt(n if paired else n / 2)
    bound = float(stats.t.isf(alpha / 2, freedom))
    step = min(0.02, max(0.001, bound / math.sqrt(2 * freedom)))  # no wider than S spreads, so that the sum is right
    z = np.arange(-9, 9, step)
    ratio = np.minimum(np.abs(z + shift) / bound, 1e6)  # 1e6 deviations are certain; squares of more may overflow
    return float(np.sum(stats.norm.pdf(z) * stats.chi2.cdf(freedom * ratio**2, freedom)) * step)


def _more_seeds_needed(difference: Difference | None, alpha: float, power: float) -> int | None:
    if difference is None or difference.std is None:
        return None
    least = difference.n + 1  # these seeds did not decide, although equal deviations, assumed here, may say they would
    return seeds_needed(difference.mean, difference.std, difference.paired, alpha, power, least)


def _p(judgement: Judgement) -> float:
    return 1.0 if judgement.p is None else judgement.p


def _distance_from_decision(judgement: Judgement) -> tuple[bool, bool, bool, int]:
    """Return a key that orders undecided claims: no runs last, then no spread, no number of seeds, many seeds."""
    return (
        judgement.difference is None, judgement.p is None, judgement.seeds_needed is None, judgement.seeds_needed or 0
    )  # fmt: skip


def _what_is_missing(judgement: Judgement) -> str:
    if judgement.difference is None:
        return "no runs"
    if judgement.difference.p is None:
        return "one seed has no spread"
    if judgement.difference.alike:
        return f"the {judgement.difference.n} seeds differ by equal amounts, so there is no spread"
    if judgement.seeds_needed is not None:
        return f"about {judgement.seeds_needed:,} seeds would decide"
    return "no difference" if judgement.difference.mean == 0 else f"more than {MOST_SEEDS:,} seeds would be needed"
