"""Claims that more seeds may still decide: the chance of a verdict, given the runs that there are.

The chance is a predictive one, under flat priors for the contrast and for log sigma, where sigma is the standard
deviation of a run. If s is its estimate with nu degrees of freedom, sigma^2 is nu s^2 / chi^2, with chi-squared of nu
degrees of freedom. The value that the contrast will have at the effective size k' is then

    value + sigma * sqrt(1 / k - 1 / k') * Z,     Z standard normal,

where k is the effective size today. The later estimate of sigma is taken as the mean over the degrees of freedom that
there are and those that come. A verdict is given where the value is beyond the half width of the interval at k', or,
for equivalence, so far within the margin that the interval is. See Spiegelhalter, Freedman, Blackburn, Monitoring
clinical trials: conditional or predictive power?, 1986. To stop for a low chance costs power, but makes no verdict
wrong: the test is valid whenever one stops.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import stats

from attnbench.tables.report import Outcome
from attnbench.tables.verdicts.anytime import Estimate, critical_t
from attnbench.tables.verdicts.judge import Part
from attnbench.tables.verdicts.variances import Floats

WORTH = 0.1
"""Chance of a verdict below which a claim is hopeless."""
DECIDED = ("supported", "contradicted", "equivalent")
State = Literal["decided", "open", "hopeless"]
Seeds = Mapping[str, Collection[int]]
"""Finished seeds of each kind of runs."""
Chances = Sequence[tuple[float, float]]
"""Of each part of a claim, the chance that it is supported or equivalent, and that it is contradicted."""


@dataclass(frozen=True)
class QuestionPart:
    """A part of a claim.

    Attributes:
        weights: of the kinds of runs that it compares; empty if they cannot be run, or are the same runs.
        level: of its interval.
    """

    part: Part
    outcome: Outcome
    weights: Mapping[str, float]
    level: float

    @property
    def is_open(self) -> bool:
        """Whether runs could change its outcome."""
        return bool(self.weights) and self.outcome not in (*DECIDED, "not trained")


@dataclass(frozen=True)
class Question:
    """A claim and its result so far; n is that of its part with the fewest seeds."""

    claim: str
    outcome: Outcome
    details: str
    n: int
    column: str
    parts: tuple[QuestionPart, ...]

    @cached_property
    def open_parts(self) -> tuple[QuestionPart, ...]:
        """The parts that runs could decide; none if the claim is decided, or its networks have not learned."""
        if self.outcome in (*DECIDED, "not trained"):
            return ()
        return tuple(part for part in self.parts if part.is_open)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of runs that its open parts compare."""
        return frozenset(kind for part in self.open_parts for kind in part.weights)


@dataclass(frozen=True)
class Prospect:
    """Whether a claim is decided, open or hopeless, and why.

    Attributes:
        chance: of a verdict; None where nothing is known yet.
        narrowed: the only parts of an open claim that further runs serve; empty if they serve all open parts.
    """

    question: Question
    state: State
    reason: str = ""
    chance: float | None = None
    narrowed: tuple[QuestionPart, ...] = ()

    @property
    def served(self) -> tuple[QuestionPart, ...]:
        """The parts that further runs serve."""
        return self.narrowed or self.question.open_parts

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of runs that may get further seeds."""
        return frozenset(kind for part in self.served for kind in part.weights)


def prospect(question: Question, done: Seeds, most: int, blocked: Collection[str] = ()) -> Prospect:
    """Tell whether more seeds may decide a claim.

    Args:
        question: the claim.
        done: finished seeds by kind.
        most: seeds that a kind may have.
        blocked: kinds of runs that fail.
    """
    if question.outcome in DECIDED:
        return Prospect(question, "decided", question.details)
    if not question.open_parts:
        return Prospect(question, "hopeless", question.details or question.outcome)
    able = [part for part in question.open_parts if not part.weights.keys() & set(blocked)]
    if not able:
        return Prospect(question, "hopeless", "a run that it needs failed")
    growing = [part for part in able if any(len(done[kind]) < most for kind in part.weights)]
    if not growing:
        return Prospect(question, "hopeless", f"its rows have {most} seeds, the most that are allowed")
    chances = _all_chances(question, done, at_least(done, question.kinds, most))
    chance = _chance_of(chances)
    if chance is not None and chance < WORTH:
        words = f"{most} seeds would decide it with a chance of {percent(chance)}"
        return Prospect(question, "hopeless", words, chance)
    return Prospect(question, "open", "", chance, _narrowed(question, chances, growing))


def _narrowed(
    question: Question, chances: Chances | None, growing: Collection[QuestionPart]
) -> tuple[QuestionPart, ...]:
    """Return the growing part that is likeliest to be contradicted, if the claim is not to be supported any more.

    To support a claim takes all its parts, to contradict it takes one: seeds for the others would be wasted. Empty if
    the claim may still be supported, or nothing is known yet.
    """
    if chances is None or min(favourable for favourable, _ in chances) >= WORTH:
        return ()
    against = [(part, chance) for part, (_, chance) in zip(question.parts, chances, strict=True) if part in growing]
    return (max(against, key=lambda each: each[1])[0],)


def at_least(done: Seeds, kinds: Collection[str], most: int) -> dict[str, int]:
    """Return the number of seeds of each kind if some kinds had `most`."""
    return {kind: max(len(seeds), most if kind in kinds else 0) for kind, seeds in done.items()}


def percent(chance: float) -> str:
    """Return a chance in words: `34 %`, `below 1 %`."""
    return "below 1 %" if chance < 0.01 else "above 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"


def chance_decided(question: Question, done: Seeds, then: Mapping[str, int]) -> float | None:
    """Return the chance that a claim is decided once its runs have other numbers of seeds.

    Of a claim with several parts it is an upper bound: that the least likely part is supported, or the likeliest is
    contradicted. None if the spread of a part is not known yet.
    """
    return _chance_of(_all_chances(question, done, then))


def _chance_of(chances: Chances | None) -> float | None:
    """Return the chance of a verdict from those of the parts."""
    if chances is None:
        return None
    return min(1.0, min(favourable for favourable, _ in chances) + max(against for _, against in chances))


def _all_chances(question: Question, done: Seeds, then: Mapping[str, int]) -> Chances | None:
    """Return the chances of every part; None if those of one are unknown."""
    parts = [_chances(part, done, then) for part in question.parts]
    known = [part for part in parts if part is not None]
    return known if len(known) == len(parts) else None


def _chances(asked: QuestionPart, done: Seeds, then: Mapping[str, int]) -> tuple[float, float] | None:
    """Return the chances that a part is supported or equivalent, and that it is contradicted; None if unknown."""
    if asked.outcome in ("supported", "equivalent"):
        return 1.0, 0.0
    if not asked.weights:
        return 0.0, 0.0
    future = grown(asked, done, then)
    if asked.part.estimate is None or future is None:
        return None
    futures = _Futures(asked.part.estimate, future, asked.level)
    margin, direction, half = asked.part.margin or 0.0, asked.part.direction, futures.half_widths
    if asked.part.equal:
        return futures.within(margin - half), futures.beyond(margin + half) + futures.beyond(margin + half, -1)
    equivalent = futures.within(np.minimum(half, margin - half))
    return futures.beyond(half, direction) + equivalent, futures.beyond(half, -direction)


class _Futures:
    """What an estimate may become, for evenly spaced quantiles of sigma.

    Attributes:
        half_widths: (200,) of the later intervals.
    """

    def __init__(self, now: Estimate, future: Estimate, level: float) -> None:
        chi_squared = stats.chi2.ppf((np.arange(200) + 0.5) / 200, now.freedom)
        sigmas = now.std * np.sqrt(now.freedom / chi_squared)
        added = max(0.0, future.freedom - now.freedom)
        stds = np.sqrt((now.freedom * now.std**2 + added * sigmas**2) / (now.freedom + added))
        shrink = math.sqrt(max(0.0, 1 / now.size - 1 / future.size))
        self.value, self.scales = now.value, sigmas * max(shrink, 1e-9)
        self.half_widths: Floats = critical_t(level, future.freedom, future.size) * stds / math.sqrt(future.size)

    def beyond(self, bounds: Floats, sign: int = 1) -> float:
        """Return the chance that the value, times a sign, is beyond bounds."""
        return float(np.mean(stats.norm.sf((bounds - sign * self.value) / self.scales)))

    def within(self, bounds: Floats) -> float:
        """Return the chance that the value's size is below bounds."""
        inside = [stats.norm.cdf((sign * bounds - self.value) / self.scales) for sign in (1, -1)]
        return float(np.mean(np.where(bounds > 0, inside[0] - inside[1], 0.0)))


def grown(asked: QuestionPart, done: Seeds, then: Mapping[str, int]) -> Estimate | None:
    """Return a part's estimate with other numbers of seeds, if value and spread stay; None without a spread."""
    now = asked.part.estimate
    if now is None or now.std == 0 or now.n < 2:
        return None
    counts = {kind: max(1, len(done[kind])) for kind in asked.weights}
    size = now.size * effective_size(asked.weights, then) / effective_size(asked.weights, counts)
    if now.method == "pooled":
        freedom = now.freedom + sum(then[kind] - counts[kind] for kind in asked.weights)
    else:
        fewest = min(counts.values())
        freedom = now.freedom * (min(then[kind] for kind in asked.weights) - 1) / max(1, fewest - 1)
    return replace(now, size=size, freedom=freedom)


def effective_size(weights: Mapping[str, float], counts: Mapping[str, int]) -> float:
    """Return the effective number of seeds of a contrast of kinds of runs."""
    return 1 / math.fsum(weight**2 / counts[kind] for kind, weight in weights.items())


def smallest_in_deviations(asked: QuestionPart, then: Mapping[str, int]) -> float:
    """Return the smallest difference that numbers of seeds could show, in standard deviations of a run.

    The spread is taken from all kinds of runs together, as if they were alike.
    """
    freedom = sum(max(0, count - 1) for count in then.values())
    if not freedom or not all(then[kind] for kind in asked.weights):
        return math.inf
    size = effective_size(asked.weights, then)
    return critical_t(asked.level, float(freedom), size) / math.sqrt(size)
