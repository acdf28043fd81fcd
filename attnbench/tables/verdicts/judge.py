"""Judge the claims of a table together: supported, contradicted, equivalent, or inconclusive with these seeds.

Every part of a claim is judged by one interval that is valid at any number of looks (see `anytime`). A claim is
supported if all of its parts are, each at the full level (intersection-union: Berger, Multiparameter hypothesis testing
and acceptance sampling, 1982), and contradicted if one part is, at the level divided by the number of parts. The p
values of the table's claims are corrected by Holm's procedure, in which claims with the same comparisons are one test.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from attnbench.tables.report import Outcome
from attnbench.tables.verdicts.anytime import LEVEL, Estimate
from attnbench.tables.verdicts.holm import Holm


@dataclass(frozen=True)
class Part:
    """A comparison that a claim makes.

    Attributes:
        estimate: None where there are no runs to compare.
        direction: the sign of the claimed difference: -1 where lower values are better.
        equal: whether the claim is that the difference is within the margin.
        margin: the largest difference that does not matter; None if there is none.
        key: the same for the same comparison of the same runs.
    """

    estimate: Estimate | None
    direction: int
    equal: bool = False
    margin: float | None = None
    key: Hashable = None

    @property
    def against(self) -> bool:
        """Whether the estimate is on the side that contradicts the claim."""
        if self.estimate is None:
            return False
        if self.equal:
            return abs(self.estimate.value) > (self.margin or 0.0)
        return self.estimate.value * self.direction < 0

    @property
    def p(self) -> float | None:
        """Return the p value for the side that the estimate is on, for or against the claim; None without a test."""
        if self.estimate is None:
            return None
        if not self.equal:
            return self.estimate.p()
        return self._p_beyond() if self.against else self.p_within()

    def p_within(self) -> float | None:
        """Return the p value of two one-sided tests that the difference is within the margin; 1 without a margin.

        See Schuirmann, A comparison of the two one-sided tests procedure, 1987.
        """
        if self.estimate is None or (self.margin is not None and self.estimate.p() is None):
            return None
        if self.margin is None or abs(self.estimate.value) >= self.margin:
            return 1.0
        return max(self.estimate.p(border) or 0.0 for border in (self.margin, -self.margin))

    def _p_beyond(self) -> float | None:
        """Return the p value for a difference that is larger than the margin."""
        if self.estimate is None or self.margin is None:
            return None
        return self.estimate.p(self.margin if self.estimate.value > 0 else -self.margin)


@dataclass(frozen=True)
class PartJudgement:
    """A part's outcome; p and the level of its interval are those of the table's procedure.

    Attributes:
        level: chance that the interval is wrong at any look; the table's level divided among the tests.
    """

    outcome: Outcome
    p: float | None
    level: float


@dataclass(frozen=True)
class Judgement:
    """A claim's outcome, its p value after Holm's correction, None where no test could be made, and its parts."""

    outcome: Outcome
    p: float | None
    parts: tuple[PartJudgement, ...]


def judge(claims: Sequence[Sequence[Part]], level: float = LEVEL) -> list[Judgement]:
    """Judge the claims of a table, each a sequence of parts.

    Args:
        claims: of the table.
        level: chance of any wrong verdict.
    """
    tests = {claim_key(parts): p for parts in claims if (p := claim_p(parts)) is not None}
    holm = Holm(tests.values(), level)
    return [_judge_claim(parts, holm, level) for parts in claims]


def claim_key(parts: Sequence[Part]) -> Hashable:
    """Return a key that claims with the same comparisons share."""
    return frozenset((part.key, part.direction, part.equal, part.margin) for part in parts)


def claim_p(parts: Sequence[Part]) -> float | None:
    """Return a claim's p value: the smallest level at which it is decided; None if it cannot be decided."""
    if all(part.p is None for part in parts):
        return None
    against = [min(1.0, count_parts(parts) * p) for part in parts if part.against and (p := part.p) is not None]
    return min([*against, max(_p_decided(part, parts) for part in parts)])


def _p_decided(part: Part, parts: Sequence[Part]) -> float:
    """Return the level at which a part is supported or equivalent; 1 if that cannot be."""
    p, within = part.p, part.p_within()
    if p is None or within is None:
        return 1.0
    if part.against:
        return 1.0 if part.equal else min(1.0, count_parts(parts) * within)
    return min(p, within) if not part.equal else p


def count_parts(parts: Sequence[Part]) -> int:
    """Return the number of different comparisons that can be tested, by which contradictions are corrected."""
    return len({part.key for part in parts if part.p is not None})


def _judge_claim(parts: Sequence[Part], holm: Holm, level: float) -> Judgement:
    p = claim_p(parts)
    own_level = level / (holm.open_at_end if p is None else holm.factor(p))
    judged = tuple(_judge_part(part, parts, own_level) for part in parts)
    if p is None:
        return Judgement(combine([part.outcome for part in judged]), None, judged)
    adjusted = (replace(part, p=None if part.p is None else holm.adjusted(part.p, p)) for part in judged)
    return Judgement(combine([part.outcome for part in judged]), holm.adjusted(p, p), tuple(adjusted))


def _judge_part(part: Part, parts: Sequence[Part], level: float) -> PartJudgement:
    """Judge a part at its claim's level; its p value is corrected within the claim alone."""
    tests = max(1, count_parts(parts)) if part.against else 1
    own_level = level / tests
    p, within = part.p, part.p_within()
    outcome: Outcome = "inconclusive"
    if part.estimate is None:
        outcome = "not run"
    elif p is not None and p <= own_level:
        outcome = "contradicted" if part.against else "supported"
    elif not part.equal and within is not None and within <= own_level:
        outcome = "equivalent"
    return PartJudgement(outcome, None if p is None else tests * p, own_level)


def combine(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a claim from those of its parts."""
    for decisive in ("not trained", "contradicted", "not run", "inconclusive", "equivalent"):
        if decisive in outcomes:
            return decisive
    return "supported"
