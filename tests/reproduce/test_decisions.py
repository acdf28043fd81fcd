"""Plans of rounds, from made claims: who gets seeds, in which order, within which budget."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.reproduce.budget import Costs, PlannedRun
from attnbench.reproduce.decisions import Limits, Round, forecast, next_runs, plan, plan_open, plan_start
from attnbench.reproduce.prospects import Prospect, prospect
from attnbench.tables.report import Outcome
from tests.reproduce.made import estimate, is_open, pair, part, question, seeds

SECOND = Costs({"a": 10.0, "b": 10.0, "c": 10.0, "d": 10.0})
LIMITS = Limits(start=3, most=20)
DECIDED = ("supported", "contradicted", "equivalent", "not trained")


def runs(planned: Round) -> set[tuple[str, int]]:
    return {(run.kind, run.seed) for run in planned.runs}


def test_the_start_is_every_row_and_then_only_rows_of_open_claims_get_seeds() -> None:
    asked = [Prospect(pair("decided", "a", "b", "supported"), "decided"), is_open(pair("open", "c", "d"))]
    done = seeds(a=3, b=2, c=0, d=3)
    first = plan(asked, done, LIMITS, SECOND, math.inf)
    assert runs(first) == {("b", 2), ("c", 0), ("c", 1), ("c", 2)}
    assert first.seconds == 40
    second = plan(asked, seeds(a=3, b=3, c=3, d=3), LIMITS, SECOND, math.inf)
    assert runs(second) == {("c", 3), ("d", 3)}


def test_the_row_with_fewer_seeds_gets_the_next_one() -> None:
    asked = is_open(pair("open", "a", "b"))
    assert runs(plan_open([asked], seeds(a=5, b=4), 20, SECOND, math.inf)) == {("b", 4)}
    assert runs(plan_open([asked], seeds(a=5, b=5), 20, SECOND, math.inf)) == {("a", 5), ("b", 5)}
    assert runs(plan_open([asked], seeds(a=20, b=19), 20, SECOND, math.inf)) == {("b", 19)}
    assert runs(plan_open([asked], seeds(a=20, b=20), 20, SECOND, math.inf)) == set()
    contrast = is_open(question("contrast", "inconclusive", part({"a": 1.0, "b": -2.0, "c": 1.0}, estimate(1))))
    assert runs(plan_open([contrast], seeds(a=4, b=4, c=4), 20, SECOND, math.inf)) == {("b", 4)}  # 4 / 2 is least


def test_a_gap_among_the_seeds_is_filled_first() -> None:
    done = {"a": frozenset({0, 2, 3}), "b": frozenset({0, 1, 2})}
    assert runs(plan_open([is_open(pair("open", "a", "b"))], done, 20, SECOND, math.inf)) == {("a", 1), ("b", 3)}


def test_only_open_parts_get_seeds() -> None:
    asked = question(
        "all", "inconclusive",
        part({"a": 1.0, "b": -1.0}, estimate(9), "supported"), part({"c": 1.0, "d": -1.0}, estimate(1)),
        part({}, None, "not run"),
    )  # fmt: skip
    assert runs(plan_open([is_open(asked)], seeds(a=3, b=3, c=3, d=3), 20, SECOND, math.inf)) == {("c", 3), ("d", 3)}


def test_of_a_claim_that_cannot_be_supported_only_the_part_likeliest_to_be_contradicted_gets_seeds() -> None:
    parts = {
        value: part({first: 1.0, second: -1.0}, estimate(value, n=5))
        for first, second, value in (("a", "b", 3.0), ("c", "d", 0.5), ("e", "f", -1.2))
    }
    done = seeds(a=5, b=5, c=5, d=5, e=5, f=5)
    doomed = prospect(question("all", "inconclusive", *parts.values()), done, 20)
    assert doomed.narrowed == (parts[-1.2],)
    assert runs(plan_open([doomed], done, 20, SECOND, math.inf)) == {("e", 5), ("f", 5)}
    hoped = prospect(question("all", "inconclusive", parts[3.0], parts[0.5]), done, 20)
    assert hoped.narrowed == ()
    assert {kind for kind, _ in runs(plan_open([hoped], done, 20, SECOND, math.inf))} == {"a", "b", "c", "d"}
    undecided = part({"a": 1.0, "f": -1.0}, None, "not run")
    assert prospect(question("all", "inconclusive", *parts.values(), undecided), done, 20).narrowed == ()
    fails = prospect(question("all", "inconclusive", *parts.values()), done, 20, blocked={"f"})
    assert fails.narrowed == (parts[0.5],)


def test_idle_slots_get_further_seeds() -> None:
    four = Costs(SECOND.seconds, slots=4)
    asked = [is_open(pair("open", "a", "b"))]
    assert runs(plan_open(asked, seeds(a=3, b=3), 20, four, math.inf)) == {("a", 3), ("b", 3), ("a", 4), ("b", 4)}
    assert runs(plan_open(asked, seeds(a=3, b=3), 4, four, math.inf)) == {("a", 3), ("b", 3)}


def test_a_round_is_cut_to_the_claims_that_fit_the_likelier_first() -> None:
    likely, unlikely = (
        Prospect(pair(name, *rows), "open", chance=chance)
        for name, rows, chance in (("likely", ("a", "b"), 0.8), ("unlikely", ("c", "d"), 0.3))
    )
    done = seeds(a=3, b=3, c=3, d=3)
    cut = plan_open([unlikely, likely], done, 20, SECOND, left=30)
    assert (runs(cut), cut.cut, cut.seconds) == ({("a", 3), ("b", 3)}, True, 20)
    assert plan_open([unlikely, likely], done, 20, SECOND, left=19) == Round((), 0.0, True)
    whole = plan_open([unlikely, likely], done, 20, SECOND, left=40)
    assert (len(whole.runs), whole.cut) == (4, False)


def test_a_start_that_does_not_fit_gives_the_first_seeds_first() -> None:
    cut = plan_start(seeds(a=0, b=0), 3, SECOND, left=45)
    assert (runs(cut), cut.cut) == ({("a", 0), ("b", 0), ("a", 1), ("b", 1)}, True)
    assert plan([is_open(pair("open", "a", "b"))], seeds(a=0, b=0), LIMITS, SECOND, left=5).runs == ()


def test_long_runs_start_first_and_runs_that_have_begun_cost_what_is_left() -> None:
    costs = Costs({"a": 10.0, "b": 30.0}, begun={PlannedRun("b", 3): 1.0})
    asked = [is_open(pair("open", "a", "b"))]
    assert plan_open(asked, seeds(a=3, b=3), 20, costs, left=11).runs == (PlannedRun("a", 3), PlannedRun("b", 3))
    assert plan_open(asked, seeds(a=4, b=4), 20, costs, left=40).runs == (PlannedRun("b", 4), PlannedRun("a", 4))


def test_kinds_of_runs_that_fail_get_no_further_seeds() -> None:
    asked = is_open(pair("open", "a", "b"))
    assert next_runs(asked, seeds(a=3, b=2), 20, blocked={"b"}) == ()
    assert runs(plan_start(seeds(a=0, b=0), 1, SECOND, math.inf, blocked={"b"})) == {("a", 0)}


def test_a_forecast_spends_the_budget_on_claims_that_are_open_now() -> None:
    asked = [is_open(pair("open", "a", "b")), Prospect(pair("done", "c", "d", "supported"), "decided")]
    bought = forecast(asked, seeds(a=3, b=3, c=3, d=3), Limits(3, 20, budget=100.0), SECOND)
    assert (bought.rounds, bought.runs, bought.seconds) == (5, 10, 100)
    assert bought.counts == {"a": 8, "b": 8, "c": 3, "d": 3}
    everything = forecast(asked, seeds(a=3, b=3, c=0, d=0), Limits(3, 20), SECOND)
    assert everything.counts == {"a": 20, "b": 20, "c": 3, "d": 3}
    assert forecast(asked, seeds(a=0, b=0, c=0, d=0), Limits(3, 20, budget=9.0), SECOND).runs == 0


KINDS = "abcdef"
OUTCOMES: tuple[Outcome, ...] = ("inconclusive", "not run", *DECIDED)  # type: ignore[assignment]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Prospect], dict[str, frozenset[int]], Costs]:
    """Claims with their prospects, finished seeds, and costs."""
    done = {kind: draw(st.frozensets(st.integers(0, 7), max_size=8)) for kind in KINDS}
    claims = []
    for number in range(draw(st.integers(1, 6))):
        first, second = draw(st.permutations(KINDS))[:2]
        claims.append(pair(f"claim {number}", first, second, draw(st.sampled_from(OUTCOMES)), draw(st.floats(-5, 5))))
    seconds = {kind: draw(st.floats(0.1, 100)) for kind in KINDS}
    prospects = [prospect(each, done, 6) for each in claims]
    return prospects, done, Costs(seconds, draw(st.integers(1, 4)), overhead=draw(st.floats(0, 10)))


@given(tables(), st.integers(0, 2**32))
def test_decided_and_hopeless_claims_never_get_a_seed_in_whatever_order(
    table: tuple[list[Prospect], dict[str, frozenset[int]], Costs], shuffle: int
) -> None:
    prospects, done, costs = table
    planned = plan(prospects, done, Limits(0, 6), costs, math.inf)
    wanted = {kind for each in prospects if each.state == "open" for kind in each.kinds}
    assert {run.kind for run in planned.runs} <= wanted
    assert all(run.seed not in done[run.kind] for run in planned.runs)
    mixed = random.Random(shuffle).sample(prospects, len(prospects))
    kinds = random.Random(shuffle).sample(list(done.items()), len(done))
    assert plan(mixed, dict(kinds), Limits(0, 6), costs, math.inf) == planned
    assert plan(mixed, dict(kinds), Limits(0, 6), costs, 60.0) == plan(prospects, done, Limits(0, 6), costs, 60.0)


@given(tables(), st.floats(0, 500), st.integers(0, 4))
def test_neither_a_round_nor_all_of_them_cost_more_than_the_budget(
    table: tuple[list[Prospect], dict[str, frozenset[int]], Costs], budget: float, start: int
) -> None:
    prospects, done, costs = table
    planned = plan(prospects, done, Limits(start, 6, budget), costs, budget)
    assert planned.seconds <= budget
    assert planned.seconds == costs.together(planned.runs)
    bought = forecast(prospects, done, Limits(start, 6, budget), costs)
    assert bought.seconds <= budget * (1 + 1e-9)
    assert all(count <= max(6, len({*done[kind], *range(start)})) for kind, count in bought.counts.items())


@given(tables())
def test_rounds_end_when_every_row_of_an_open_claim_has_the_most_seeds(
    table: tuple[list[Prospect], dict[str, frozenset[int]], Costs],
) -> None:
    prospects, done, costs = table
    bought = forecast(prospects, done, Limits(0, 6), costs)
    for each in prospects:
        if each.state == "open":
            assert all(bought.counts[kind] >= 6 for kind in each.kinds)


def test_made_claims_have_all_states() -> None:
    """Otherwise the properties above would hold for want of cases."""
    states = {prospect(pair("x", "a", "b", outcome, 3.0), seeds(a=3, b=3), 6).state for outcome in OUTCOMES}
    states.add(prospect(question("x", "inconclusive", part({"a": 1.0}, estimate(0, 5, 1.0))), seeds(a=6), 6).state)
    assert states == {"open", "decided", "hopeless"}


@pytest.mark.parametrize("budget", [0.0, -5.0])
def test_a_spent_budget_buys_nothing(budget: float) -> None:
    assert plan([is_open(pair("open", "a", "b"))], seeds(a=0, b=0), LIMITS, SECOND, budget).runs == ()
