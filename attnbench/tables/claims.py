"""What runs say about a paper's claims: each holds, does not hold, or cannot be told from so few seeds."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from attnbench.errors import require, require_choice
from attnbench.tables.statistics import Difference, Values, compare, holm

Outcome = Literal["holds", "does not hold", "cannot be told"]
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Verdict:
    """A claim's outcome, and what it rests on.

    difference: first minus second with its own interval, not widened for the table's other claims; None without runs
    of both. p: adjusted for them (Holm). seeds_needed: seeds a side that would tell, of a claim that cannot be told;
    None also if that is unknown.
    """

    outcome: Outcome
    difference: Difference | None
    p: float | None
    seeds_needed: int | None


def judge(
    pairs: Sequence[tuple[Values, Values]], better: Literal["lower", "higher"], level: float = 0.95, power: float = 0.8
) -> list[Verdict]:
    """Judge the claims that the first of each pair is better than the second, together: hand in a whole table's.

    A claim is told if its p value, adjusted for all pairs, is below 1 - level; then the difference's sign decides.
    Seeds that all differ alike are no test: accuracies are counts of images, so two seeds do that by chance.
    The seeds needed are those at which a test at the level where Holm's procedure stopped, alpha over the number of
    claims not told, finds the difference seen so far with this power: at that level this claim would be told, all
    others as they are. The difference seen is itself uncertain, so the number is a rough one.
    """
    require_choice("better", better, ("lower", "higher"))
    differences = [compare(first, second, level) for first, second in pairs]
    adjusted = holm([difference.p if difference and not difference.alike else None for difference in differences])
    alpha = 1 - level
    untold = sum(p is not None and p >= alpha for p in adjusted)
    verdicts = []
    for difference, p in zip(differences, adjusted, strict=True):
        if difference is None or p is None or p >= alpha:
            needed = _needed(difference, alpha / max(1, untold), power)
            verdicts.append(Verdict("cannot be told", difference, p, needed))
        else:
            as_claimed = (difference.mean < 0) == (better == "lower")
            verdicts.append(Verdict("holds" if as_claimed else "does not hold", difference, p, None))
    return verdicts


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that decides a claim of several parts: it holds if all do, and does not if any does not.

    Of a claim that holds this is the part with the largest p value, of one that does not the failing part with the
    smallest, else the part that needs most seeds, where an unknown number is more than any.
    """
    require(len(verdicts) > 0, "verdicts", list(verdicts), "a claim has at least one part")
    failing = [verdict for verdict in verdicts if verdict.outcome == "does not hold"]
    if failing:
        return min(failing, key=_p)
    untold = [verdict for verdict in verdicts if verdict.outcome == "cannot be told"]
    if untold:
        return max(untold, key=_lack)
    return max(verdicts, key=_p)


def describe(verdict: Verdict) -> str:
    """The verdict in a few words: `holds (p = 0.012)`, `cannot be told (about 14 seeds would tell)`."""
    if verdict.outcome != "cannot be told":
        p = _p(verdict)
        return f"{verdict.outcome} (p {'< 0.001' if p < 0.001 else f'= {p:.3g}'})"
    return f"{verdict.outcome} ({_what_lacks(verdict)})"


def seeds_needed(
    mean: float, std: float | None, paired: bool, alpha: float = 0.05, power: float = 0.8, least: int = 2
) -> int | None:
    """The fewest seeds a side, from `least` on, with which a two-sided t test finds a difference of this mean with
    this power (Cohen, Statistical Power Analysis, 1988, chapter 2).

    std: of the differences if paired, else of each side. None if it is unknown (None), if there is no difference to
    find, or if more than 10,000 seeds are needed.
    """
    require(0 < alpha < 1, "alpha", alpha, "must lie between 0 and 1")
    require(0 < power < 1, "power", power, "must lie between 0 and 1")
    if std is None or mean == 0:
        return None
    effect = abs(mean) / std if std else math.inf
    sizes = range(least, MOST_SEEDS + 1)
    found = bisect_left(sizes, True, key=lambda n: _power(effect, n, paired, alpha) >= power)
    return sizes[found] if found < len(sizes) else None


def _power(effect: float, n: int, paired: bool, alpha: float) -> float:
    """Chance that a two-sided t test with n seeds a side finds an effect (mean over deviation).

    The statistic is noncentral t: (Z + shift) / S with a normal Z and S^2 chi-squared over its degrees of freedom. So
    the chance is the mean over Z of P(S < |Z + shift| / bound), here a sum over evenly spaced Z, right to 2e-5. scipy's
    own noncentral t warns or gives nan at some sizes and shifts, at others in each version.
    """
    freedom = n - 1 if paired else 2 * (n - 1)
    shift = effect * math.sqrt(n if paired else n / 2)
    bound = float(stats.t.isf(alpha / 2, freedom))
    step = min(0.02, max(0.001, bound / math.sqrt(2 * freedom)))  # no wider than S spreads: that keeps the sum right
    z = np.arange(-9, 9, step)
    ratio = np.minimum(np.abs(z + shift) / bound, 1e6)  # 1e6 deviations are certain; squares of more may overflow
    return float(np.sum(stats.norm.pdf(z) * stats.chi2.cdf(freedom * ratio**2, freedom)) * step)


def _needed(difference: Difference | None, alpha: float, power: float) -> int | None:
    if difference is None or difference.std is None:
        return None
    more = difference.n + 1  # the seeds at hand did not tell; equal deviations, assumed here, can claim they would
    return seeds_needed(difference.mean, difference.std, difference.paired, alpha, power, more)


def _p(verdict: Verdict) -> float:
    return 1.0 if verdict.p is None else verdict.p


def _lack(verdict: Verdict) -> tuple[bool, bool, bool, int]:
    """How far a claim is from being told: no runs, no spread, no number of seeds, many seeds."""
    return (verdict.difference is None, verdict.p is None, verdict.seeds_needed is None, verdict.seeds_needed or 0)


def _what_lacks(verdict: Verdict) -> str:
    if verdict.difference is None:
        return "no runs"
    if verdict.difference.p is None:
        return "one seed has no spread"
    if verdict.difference.alike:
        return f"{verdict.difference.n} seeds that all differ alike have no spread"
    if verdict.seeds_needed is not None:
        return f"about {verdict.seeds_needed:,} seeds would tell"
    return "no difference seen" if verdict.difference.mean == 0 else f"more than {MOST_SEEDS:,} seeds would be needed"
