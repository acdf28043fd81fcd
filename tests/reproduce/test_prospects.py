"""Which claims more seeds may decide: against simulation, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.reproduce.prospects import (
    Question,
    at_least,
    chance_decided,
    effective_size,
    grown,
    percent,
    prospect,
    smallest_in_deviations,
)
from attnbench.tables.verdicts.anytime import critical_t
from tests.reproduce.made import estimate, look, pair, part, question, seeds

AB = {"a": 1.0, "b": -1.0}


def simulated(value: float, then: int, margin: float | None, freedom: float) -> float:
    """The share of futures in which the interval at `then` seeds a row excludes 0, or is within the margin.

    The truth is drawn from its posterior under flat priors, and later seeds from the truth.
    """
    generator = np.random.default_rng(3)
    draws = 200_000
    sigma = np.sqrt(freedom / generator.chisquare(freedom, draws))
    truth = value + sigma * generator.normal(0, 1, draws) / math.sqrt(1.5)
    k, added = then / 2, 2 * (then - 3)
    later = truth + sigma * generator.normal(0, 1, draws) / math.sqrt(k - 1.5)
    final = (1.5 * value + (k - 1.5) * later) / k
    std = np.sqrt((freedom + sigma**2 * generator.chisquare(added, draws)) / (freedom + added))
    half = critical_t(0.05, freedom + added, k) * std / math.sqrt(k)
    decided = np.abs(final) > half
    return float(np.mean(decided if margin is None else decided | (np.abs(final) < margin - half)))


@pytest.mark.parametrize("value", [0.0, 1.0, -2.0, 4.0])
@pytest.mark.parametrize("then", [4, 20])
@pytest.mark.parametrize("margin", [None, 2.0])
@pytest.mark.parametrize("freedom", [4.0, 12.0])
def test_the_chance_of_a_verdict_is_that_of_simulated_futures(
    value: float, then: int, margin: float | None, freedom: float
) -> None:
    asked = question("a claim", "inconclusive", part(AB, estimate(value, freedom=freedom), margin=margin))
    chance = chance_decided(asked, seeds(a=3, b=3), {"a": then, "b": then})
    assert chance == pytest.approx(simulated(value, then, margin, freedom), abs=0.03)


def test_equal_rows_are_decided_within_the_margin_or_beyond_it() -> None:
    near, far = (
        question("on a par", "inconclusive", part(AB, estimate(value, n=10), margin=3.0, equal=True))
        for value in (0.1, 9.0)
    )
    done, then = seeds(a=10, b=10), {"a": 20, "b": 20}
    assert chance_decided(near, done, then) == pytest.approx(1, abs=0.01)  # half width at 20 seeds: about 1
    assert chance_decided(far, done, then) == pytest.approx(1, abs=0.01)
    border = question("on a par", "inconclusive", part(AB, estimate(3.0, n=19), margin=3.0, equal=True))
    assert chance_decided(border, seeds(a=19, b=19), then) == pytest.approx(0, abs=0.01)


def test_a_claim_is_hopeless_if_the_most_seeds_are_unlikely_to_decide_it() -> None:
    asked = question("a claim", "inconclusive", part(AB, estimate(0.1, n=15, freedom=60)), n=15)
    found = look(asked, most=20, n=15)
    assert found.state == "hopeless"
    assert found.reason == "20 seeds would decide it with a chance of below 1 %"
    assert look(asked, most=2000, n=15).state == "open"
    assert look(pair("a claim", "a", "b", value=2.0)).state == "open"


def test_claims_without_a_spread_stay_open() -> None:
    unknown = [None, estimate(1.0, n=1, std=0.0, freedom=0.0), estimate(1.0, std=0.0)]
    for found in unknown:
        each = look(question("a claim", "inconclusive", part(AB, found)))
        assert (each.state, each.chance) == ("open", None)
    assert look(question("a claim", "not run", part(AB, None, "not run")), n=0).state == "open"


@pytest.mark.parametrize("outcome", ["supported", "contradicted", "equivalent"])
def test_a_claim_with_a_verdict_is_decided(outcome: str) -> None:
    assert look(pair("a claim", "a", "b", outcome)).state == "decided"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (question("a claim", "not trained"), "not trained"),
        (question("a claim", "not run", part({}, None, "not run")), "not run"),
        (pair("a claim", "a", "b"), "its rows have 3 seeds, the most that are allowed"),
    ],
)
def test_claims_that_no_run_can_decide_are_hopeless(asked: Question, reason: str) -> None:
    found = look(asked, most=3)
    assert (found.state, found.reason) == ("hopeless", reason)


def test_a_claim_whose_runs_fail_is_hopeless() -> None:
    asked = pair("a claim", "a", "b")
    assert prospect(asked, seeds(a=3, b=3), 20, blocked={"b"}).reason == "a run that it needs failed"
    assert prospect(asked, seeds(a=3, b=3), 20, blocked={"c"}).state == "open"


def test_the_least_likely_part_decides_a_claim_of_several() -> None:
    done, then = seeds(a=10, b=10, c=10), {"a": 20, "b": 20, "c": 20}
    sure, vain = part(AB, estimate(9.0, n=10)), part({"a": 1.0, "c": -1.0}, estimate(0.0, n=10))
    against = part({"b": 1.0, "c": -1.0}, estimate(-9.0, n=10))
    cannot = part({}, None, "not run")
    for parts, expected in (((sure,), 1), ((sure, vain), 0), ((sure, vain, against), 1), ((sure, cannot), 0)):
        assert chance_decided(question("all", "inconclusive", *parts), done, then) == pytest.approx(expected, abs=0.02)
    supported = part(AB, estimate(9.0, n=10), "supported")
    assert chance_decided(question("all", "inconclusive", supported, sure), done, then) == pytest.approx(1, abs=0.01)


def test_more_seeds_of_one_row_count_by_its_share_of_the_error() -> None:
    asked = part(AB, estimate(1.0))  # k = 3 / 2; with 3 and 6 seeds 1 / (1/3 + 1/6) = 2, and 3 degrees of freedom more
    found = grown(asked, seeds(a=3, b=3), {"a": 3, "b": 6})
    assert found is not None
    assert found.size == pytest.approx(2)
    assert (found.freedom, found.value, found.std) == (15, 1, 1)
    assert effective_size({"a": 2.0, "b": -2.0}, {"a": 4, "b": 4}) == pytest.approx(0.5)
    assert at_least(seeds(a=3, b=30, c=2), {"a", "b"}, 20) == {"a": 20, "b": 30, "c": 2}


def test_before_the_first_run_differences_are_in_deviations() -> None:
    asked = part(AB)
    assert smallest_in_deviations(asked, {"a": 5, "b": 5, "c": 5}) == pytest.approx(
        critical_t(0.05, 12, 2.5) / math.sqrt(2.5)
    )
    assert smallest_in_deviations(asked, {"a": 1, "b": 1}) == math.inf
    assert smallest_in_deviations(asked, {"a": 0, "b": 5}) == math.inf


def test_chances_in_words() -> None:
    assert [percent(chance) for chance in (0.0, 0.004, 0.34, 0.999, 1.0)] == [
        "below 1 %", "below 1 %", "34 %", "above 99 %", "above 99 %"
    ]  # fmt: skip


@given(st.floats(-50, 50), st.floats(1e-6, 50), st.integers(2, 20), st.integers(2, 20), st.booleans())
def test_a_chance_is_a_chance(value: float, std: float, n: int, then: int, equal: bool) -> None:
    asked = question("a claim", "inconclusive", part(AB, estimate(value, n, std), margin=1.0, equal=equal))
    chance = chance_decided(asked, seeds(a=n, b=n), {"a": max(n, then), "b": max(n, then)})
    assert chance is not None
    assert 0 <= chance <= 1
