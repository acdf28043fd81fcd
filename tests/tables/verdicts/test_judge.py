"""Judgements of claims: outcomes, Holm's correction, parts of a claim, and claims that are the same test."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from attnbench.tables.report import Outcome
from attnbench.tables.verdicts.anytime import Estimate, critical_t
from attnbench.tables.verdicts.judge import Part, claim_p, combine, judge

pytestmark = pytest.mark.usefixtures("cheap_collection")

SIZE, FREEDOM = 5.0, 45.0  # ten seeds of five rows


def part(
    t: float, key: str = "", *, direction: int = -1, equal: bool = False, margin: float | None = None, std: float = 1.0
) -> Part:
    """A difference of `t` standard errors, where lower is better."""
    estimate = Estimate(t * std / math.sqrt(SIZE), std, SIZE, FREEDOM, 10)
    return Part(estimate, direction, equal, margin, key or f"{t} {direction} {equal} {margin}")


BOUND = critical_t(0.05, FREEDOM, SIZE)
"""Standard errors from which one comparison is decided."""
NO_RUNS = Part(None, -1, key="no runs")
CONSTANT = part(0, "constant", std=0.0)


def outcomes(claims: Sequence[Sequence[Part]]) -> list[Outcome]:
    return [found.outcome for found in judge(claims)]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (part(-1.01 * BOUND), "supported"),
        (part(1.01 * BOUND), "contradicted"),
        (part(1.01 * BOUND, direction=1), "supported"),
        (part(-1.01 * BOUND, direction=1), "contradicted"),
        (part(-0.99 * BOUND), "inconclusive"),
        (part(0.0), "inconclusive"),
        (part(0.1, margin=10.0), "equivalent"),
        (part(-1.01 * BOUND, margin=10.0), "supported"),  # told apart, although by less than the margin
        (part(0.1, margin=0.5), "inconclusive"),
        (part(0.1, margin=10.0, equal=True), "supported"),
        (part(8.0, margin=0.1, equal=True), "contradicted"),
        (part(-8.0, margin=0.1, equal=True), "contradicted"),
        (part(0.1, margin=0.5, equal=True), "inconclusive"),
        (part(8.0, equal=True), "inconclusive"),  # without a margin nothing is beyond it
        (CONSTANT, "inconclusive"),
        (NO_RUNS, "not run"),
    ],
)
def test_a_claim_of_one_part(asked: Part, expected: Outcome) -> None:
    assert outcomes([[asked]]) == [expected]


@given(st.floats(-9, 9), st.floats(0.01, 4) | st.none(), st.booleans())
def test_a_part_is_judged_by_its_interval(t: float, margin: float | None, equal: bool) -> None:
    asked = part(t, margin=margin or 1.0, equal=equal)
    (found,) = judge([[asked]])
    assert asked.estimate is not None
    interval = asked.estimate.interval(found.parts[0].level)
    assert interval is not None
    low, high = interval
    bound = asked.margin or 0.0
    if min(abs(edge - border) for edge in interval for border in (0, bound, -bound)) < 1e-9:
        return
    within, beyond = -bound < low and high < bound, low > bound or high < -bound
    expected: Outcome = "inconclusive"
    if equal:
        expected = "supported" if within else "contradicted" if beyond else expected
    elif high < 0 or low > 0:
        expected = "supported" if high < 0 else "contradicted"
    elif within:
        expected = "equivalent"
    assert found.outcome == expected


def test_a_claim_is_supported_by_the_largest_p_and_contradicted_by_the_smallest() -> None:
    strong, weak, against = part(-6.0, "strong"), part(-4.0, "weak"), part(4.0, "against")
    p = {name: one.p or 0.0 for name, one in (("strong", strong), ("weak", weak), ("against", against))}
    assert claim_p([strong, weak]) == p["weak"]  # each part at the full level
    assert claim_p([strong, weak, against]) == pytest.approx(3 * p["against"])  # corrected within the claim
    assert outcomes([[strong, weak]]) == ["supported"]
    assert outcomes([[strong, weak, against]]) == ["contradicted"]
    assert outcomes([[strong, part(0.1, margin=10.0)]]) == ["equivalent"]
    assert outcomes([[strong, part(-0.1)]]) == ["inconclusive"]
    assert outcomes([[strong, NO_RUNS]]) == ["not run"]


def test_a_claim_with_a_part_that_cannot_be_tested_is_never_decided() -> None:
    assert claim_p([part(-6.0), NO_RUNS]) == 1
    assert claim_p([NO_RUNS, CONSTANT]) is None


@pytest.mark.parametrize("t", [-0.1, 0.1])
def test_an_equivalence_is_a_rejection_of_holms_procedure(t: float) -> None:
    # Two hypotheses: the second is tested at the full level, because the first is rejected.
    claims = [[part(t, margin=10.0)], [part(-1.01 * BOUND)]]
    assert outcomes(claims) == ["equivalent", "supported"]
    assert outcomes([[part(t, margin=0.5)], claims[1]]) == ["inconclusive", "inconclusive"]


def test_the_same_comparison_twice_in_a_claim_is_one() -> None:
    against = part(BOUND + 0.01, "against")
    assert outcomes([[against, part(-1.0, "other")]]) == ["inconclusive"]
    assert outcomes([[against, against]]) == ["contradicted"]


def test_claims_are_corrected_by_holms_procedure() -> None:
    ts = [-9.0, -4.2, -3.9, -3.3, -1.0, 0.3]
    claims = [[part(t, f"claim {t}")] for t in ts]
    rejected, adjusted, *_ = multipletests([claim_p(parts) for parts in claims], method="holm")
    found = judge(claims)
    assert [judgement.outcome == "supported" for judgement in found] == list(rejected)
    assert 0 < sum(rejected) < len(ts)
    for judgement, p, decided in zip(found, adjusted, rejected, strict=True):
        assert judgement.p == judgement.parts[0].p == pytest.approx(p)
        assert decided == (judgement.p is not None and judgement.p <= 0.05)
    assert found[-1].p == found[-1].parts[0].p == 1  # no p value is above 1


def test_claims_with_the_same_comparison_are_one_test() -> None:
    t = -(BOUND + 0.01)
    assert outcomes([[part(t, "runs")], [part(t, "runs")], [part(t, "runs")]]) == ["supported"] * 3
    assert outcomes([[part(t, "runs")], [part(-1.0, "others")]]) == ["inconclusive"] * 2


def test_claims_without_a_test_are_not_counted() -> None:
    t = -(BOUND + 0.01)
    expected = ["supported", "not run", "inconclusive", "supported"]
    assert outcomes([[part(t)], [NO_RUNS], [CONSTANT], []]) == expected


parts_of_claims = st.lists(
    st.lists(
        st.builds(
            part,
            st.integers(-12, 12).map(lambda half: half / 2),
            direction=st.sampled_from((-1, 1)),
            margin=st.sampled_from((0.2, 3.0)),
            equal=st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    max_size=5,
)


@given(parts_of_claims)
def test_what_is_decided_has_a_p_value_of_at_most_the_level(claims: list[list[Part]]) -> None:
    for parts, found in zip(claims, judge(claims), strict=True):
        assert (found.p is not None and found.p <= 0.05) == (found.outcome not in ("inconclusive", "not run"))
        for one, judged in zip(parts, found.parts, strict=True):
            told_apart = judged.outcome in ("supported", "contradicted")
            assert told_apart == (judged.p is not None and judged.p <= 0.05)
            assert told_apart == (one.p is not None and one.p <= judged.level)


@given(parts_of_claims, st.randoms())
def test_outcomes_do_not_depend_on_the_order_of_claims_and_parts(claims: list[list[Part]], random: Random) -> None:
    order = list(range(len(claims)))
    random.shuffle(order)
    expected = judge(claims)
    for found, place in zip(judge([claims[place][::-1] for place in order]), order, strict=True):
        assert found.outcome == expected[place].outcome
        assert found.p == expected[place].p
        assert found.parts[::-1] == expected[place].parts


def test_few_tables_are_wrong_where_nothing_differs() -> None:
    """Of tables of three claims, none of them true, at most one in twenty has a verdict at any look."""
    generator = np.random.default_rng(5)
    wrong = 0
    for _ in range(150):
        values = generator.normal(size=(6, 20))
        wrong += any(verdict(values[:, :n]) for n in range(2, 21))
    assert wrong / 150 < 0.05


def verdict(values: np.ndarray) -> bool:
    rows, n = values.shape
    std = float(np.sqrt(values.var(axis=1, ddof=1).mean()))
    estimates = [Estimate(float(values[k].mean() - values[0].mean()), std, n / 2, rows * (n - 1), n) for k in (1, 2, 3)]
    return any(
        found.outcome != "inconclusive" for found in judge([[Part(one, -1, key=k)] for k, one in enumerate(estimates)])
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "equivalent"], "equivalent"),
        (["equivalent", "inconclusive"], "inconclusive"),
        (["inconclusive", "not run"], "not run"),
        (["contradicted", "not run"], "contradicted"),
        (["contradicted", "not trained", "supported"], "not trained"),
    ],
)
def test_the_outcome_of_a_claim_follows_from_its_parts(parts: list[Outcome], expected: Outcome) -> None:
    assert combine(parts) == expected
    assert combine(parts[::-1]) == expected
