"""Claims as the planner sees them, made by hand."""

from collections.abc import Mapping

from attnbench.reproduce.prospects import Prospect, Question, QuestionPart, prospect
from attnbench.tables.report import Outcome
from attnbench.tables.verdicts.anytime import Estimate
from attnbench.tables.verdicts.judge import Part


def estimate(value: float, n: int = 3, std: float = 1.0, freedom: float = 12.0) -> Estimate:
    """The difference of two rows with n seeds each."""
    return Estimate(value, std, n / 2, freedom, n)


def part(
    weights: Mapping[str, float],
    found: Estimate | None = None,
    outcome: Outcome = "inconclusive",
    margin: float | None = None,
    equal: bool = False,
) -> QuestionPart:
    """A part at the level of 5 %; higher is better."""
    return QuestionPart(Part(found, 1, equal, margin), outcome, weights, 0.05)


def question(claim: str, outcome: Outcome, *parts: QuestionPart, n: int = 3) -> Question:
    return Question(claim, outcome, "", n, "error", parts)


def pair(claim: str, first: str, second: str, outcome: Outcome = "inconclusive", value: float = 1.0) -> Question:
    """A claim that one row is better than another one, with three seeds."""
    return question(claim, outcome, part({first: 1.0, second: -1.0}, estimate(value), outcome))


def seeds(**counts: int) -> dict[str, frozenset[int]]:
    """The first seeds of each kind of runs."""
    return {kind: frozenset(range(count)) for kind, count in counts.items()}


def is_open(asked: Question) -> Prospect:
    return Prospect(asked, "open")


def look(asked: Question, most: int = 20, n: int = 3) -> Prospect:
    """The prospect of a claim all of whose kinds of runs have n seeds."""
    done = {kind: frozenset(range(n)) for each in asked.parts for kind in each.weights}
    return prospect(asked, done, most)
