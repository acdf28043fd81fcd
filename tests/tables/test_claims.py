"""Judgements of claims, and how many seeds would decide them."""

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnbench.errors import OptionError
from attnbench.tables.claims import Judgement, _power, combine, describe, judge, seeds_needed
from attnbench.tables.report import Outcome
from attnbench.tables.statistics import Difference, compare

LOW = {0: 0.10, 1: 0.11, 2: 0.12, 3: 0.13}
HIGH = {0: 0.30, 1: 0.32, 2: 0.31, 3: 0.34}
NEAR = {0: 0.11, 1: 0.10, 2: 0.14, 3: 0.13}
"""Minus LOW: 0.01, -0.01, 0.02, 0: mean 0.005, std 0.0129, t = 0.7746."""


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def part(outcome: Outcome, p: float | None = None, seeds: int | None = None) -> Judgement:
    spread = None if p is None else 0.1
    return Judgement(outcome, Difference(0.1, spread, spread, p, True, 3, spread), p, seeds)


NO_RUNS = Judgement("inconclusive", None, None, None)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("first", "second", "better", "expected"),
    [
        (LOW, HIGH, "lower", "supported"),
        (HIGH, LOW, "lower", "contradicted"),
        (LOW, HIGH, "higher", "contradicted"),
        (HIGH, LOW, "higher", "supported"),
        (LOW, NEAR, "lower", "inconclusive"),
        (LOW, NEAR, "higher", "inconclusive"),
        (LOW, LOW, "lower", "inconclusive"),
        ({0: 0.1}, {0: 0.3}, "lower", "inconclusive"),
        ({}, LOW, "lower", "inconclusive"),
        (
            {0: 1.0, 1: 1.1},
            {0: 2.0, 1: 2.1},
            "lower",
            "inconclusive",
        ),  # equal differences: chance, and no correction helps
        ({0: 1.0, 1: 1.0}, {2: 2.0, 3: 2.0}, "lower", "inconclusive"),
    ],
)
def test_a_claim_is_supported_contradicted_or_inconclusive(
    first: dict[int, float], second: dict[int, float], better: str, expected: str
) -> None:
    (found,) = judge([(first, second)], better)  # type: ignore[arg-type]
    assert found.outcome == expected
    assert found.difference == compare(first, second)


def test_more_claims_need_more_evidence() -> None:
    # Differences 0.02, 0.03, 0.05, 0.06: mean 0.04, std 0.01826, t = 4.382, p = 0.022: decided alone, and also
    # beside one that is not: 2 * 0.022 = 0.044 is still below 0.05, 3 * 0.022 = 0.066 is not.
    more = {seed: value + rise for (seed, value), rise in zip(LOW.items(), (0.02, 0.03, 0.05, 0.06), strict=True)}
    claim, vain, empty = (LOW, more), (LOW, NEAR), ({0: 0.1}, {0: 0.3})
    t = 0.04 / (math.sqrt((0.02**2 + 0.01**2 + 0.01**2 + 0.02**2) / 3) / 2)
    p = 2 * stats.t.sf(t, 3)
    for pairs, adjusted, outcome in (
        ([claim], p, "supported"),
        ([claim, vain], 2 * p, "supported"),
        ([claim, vain, vain], 3 * p, "inconclusive"),
        ([claim, vain, empty], 2 * p, "supported"),  # without a test it is not counted
    ):
        found = judge(pairs, "lower")
        assert found[0].p == pytest.approx(adjusted)
        assert found[0].outcome == outcome
    assert found[2].p is None


@pytest.mark.parametrize(("level", "outcome"), [(0.95, "supported"), (0.9999, "inconclusive")])
def test_the_level_decides(level: float, outcome: str) -> None:
    assert judge([(LOW, {0: 0.20, 1: 0.22, 2: 0.21, 3: 0.27})], "lower", level)[0].outcome == outcome


@pytest.mark.parametrize("seeds", [2, 3])
def test_few_tables_are_wrong_where_nothing_differs(seeds: int) -> None:
    """Ten claims on accuracies of 2,000 images, none of them true: at most one in twenty tables may decide one."""
    generator = np.random.default_rng(5)
    tables = 10 * generator.binomial(2000, 0.9, (150, 10, 2, seeds)) / 200
    wrong = 0
    for table in tables:
        pairs = [(dict(enumerate(a)), dict(enumerate(b))) for a, b in table.tolist()]
        wrong += any(found.outcome != "inconclusive" for found in judge(pairs, "lower"))
    assert wrong / len(tables) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(tables))


def test_the_seeds_needed_are_those_at_the_level_where_holm_stopped() -> None:
    mean, std = 0.005, math.sqrt((0.005**2 + 0.015**2 + 0.015**2 + 0.005**2) / 3)
    undecided = (LOW, NEAR)
    for pairs, alpha in (
        ([undecided], 0.05),
        ([undecided, undecided], 0.05 / 2),
        ([undecided, (LOW, HIGH), undecided], 0.05 / 2),
        ([undecided, ({}, LOW)], 0.05),
    ):
        expected = seeds_needed(mean, std, True, alpha)
        assert expected is not None
        assert judge(pairs, "lower")[0].seeds_needed == expected
    assert judge([undecided], "lower", power=0.5)[0].seeds_needed == seeds_needed(mean, std, True, power=0.5)


def test_an_undecided_claim_needs_more_seeds_than_it_has() -> None:
    # Welch with 1 degree of freedom asks for t = 12.7; equal deviations with 2 would be content with 4.3.
    (found,) = judge([({0: 1.0, 1: 1.0}, {2: 2.0, 3: 2.3})], "lower")
    assert found.outcome == "inconclusive"
    assert found.difference is not None
    assert seeds_needed(found.difference.mean, found.difference.std, False) == 2
    assert found.seeds_needed == 3


@pytest.mark.parametrize(
    ("effect", "paired", "alpha", "power", "expected"),
    [
        (0.5, False, 0.05, 0.8, 64),  # Cohen 1988, table 2.4.1: two samples
        (0.2, False, 0.05, 0.8, 394),  # the exact value; Cohen's table interpolates 393
        (0.8, False, 0.05, 0.8, 26),
        (0.5, False, 0.01, 0.8, 96),
        (0.5, False, 0.05, 0.9, 86),
        (0.5, True, 0.05, 0.8, 34),
        (0.2, True, 0.05, 0.8, 199),
        (0.8, True, 0.05, 0.8, 15),
    ],
)
def test_textbook_sample_sizes(effect: float, paired: bool, alpha: float, power: float, expected: int) -> None:
    assert seeds_needed(effect, 1.0, paired, alpha, power) == expected
    assert seeds_needed(-effect * 0.03, 0.03, paired, alpha, power) == expected


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("effect", [0.07, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("paired", [True, False])
def test_the_seeds_needed_are_those_of_the_noncentral_t_distribution(effect: float, alpha: float, paired: bool) -> None:
    n = seeds_needed(effect, 1.0, paired, alpha)
    assert n is not None
    assert scipys_power(effect, n, paired, alpha) >= 0.8 > scipys_power(effect, n - 1, paired, alpha)


@pytest.mark.parametrize(("n", "effect"), [(2, 0.0), (2, 1.0), (2, 11.5), (3, 2.0), (30, 0.5), (10_000, 0.0281)])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("paired", [True, False])
def test_the_power_is_that_of_the_noncentral_t_distribution(n: int, effect: float, alpha: float, paired: bool) -> None:
    assert _power(effect, n, paired, alpha) == pytest.approx(scipys_power(effect, n, paired, alpha), abs=2e-5)


def scipys_power(effect: float, n: int, paired: bool, alpha: float) -> float:
    freedom, shift = (n - 1, effect * math.sqrt(n)) if paired else (2 * n - 2, effect * math.sqrt(n / 2))
    bound = stats.t.isf(alpha / 2, freedom)
    with np.errstate(all="ignore"):  # some versions of scipy warn of what they then get right
        other_side = stats.nct.cdf(-bound, freedom, shift) if shift < 5 else 0.0  # below 3e-7; scipy may give nan
        return float(stats.nct.sf(bound, freedom, shift) + other_side)


@pytest.mark.parametrize(("effect", "alpha"), [(1.0, 0.05), (2.5, 0.05), (1.5, 0.01)])
@pytest.mark.parametrize("paired", [True, False])
def test_the_seeds_needed_find_the_difference_in_simulation(effect: float, alpha: float, paired: bool) -> None:
    """This number gives the power, and one fewer does not."""
    n = seeds_needed(effect, 1.0, paired, alpha)
    assert n is not None
    generator = np.random.default_rng(7)

    def simulated(n: int) -> float:
        a, b = generator.normal(effect, 1, (40_000, n)), generator.normal(0, 1, (40_000, n))
        test = stats.ttest_1samp(a, 0, axis=1) if paired else stats.ttest_ind(a, b, axis=1)
        return float(np.mean(test.pvalue < alpha))

    error = 3 * math.sqrt(0.8 * 0.2 / 40_000)
    assert simulated(n) > 0.8 - error
    assert simulated(n - 1) < 0.8 + error


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        (0.1, None, None),
        (0.0, 0.1, None),
        (0.0, 0.0, None),
        (0.1, 0.0, 2),
        (1e-9, 1.0, None),
        (5e-324, 1e300, None),
        (1e300, 5e-324, 2),
        (1e200, 1.0, 2),
        (0.0281, 1.0, 9943),  # (1.960 + 0.842)^2 / 0.0281^2 = 9940, and a little more for t instead of z
        (0.0279, 1.0, None),
    ],
)
def test_seeds_needed_at_extreme_values(mean: float, std: float | None, expected: int | None) -> None:
    found = seeds_needed(mean, std, paired=True)
    assert found == (expected if expected is None else pytest.approx(expected, abs=3 if expected > 2 else 0))


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.booleans(),
    st.floats(1e-9, 0.5),
    st.floats(0.01, 0.99),
    st.integers(2, 10_001),
)
@settings(max_examples=100)
def test_seeds_needed_is_a_number_of_seeds_for_any_numbers(
    mean: float, std: float, paired: bool, alpha: float, power: float, least: int
) -> None:
    found = seeds_needed(mean, std, paired, alpha, power, least)
    assert found is None or least <= found <= 10_000
    larger = seeds_needed(2 * mean, std, paired, alpha, power, least)
    assert found is None or (larger is not None and larger <= found)


def test_wrong_options_are_rejected() -> None:
    with pytest.raises(OptionError, match="better=smaller: must be one of lower, higher"):
        judge([], "smaller")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="power=80"):
        judge([(LOW, NEAR)], "lower", power=80)
    with pytest.raises(OptionError, match="at least one part"):
        combine([])


def test_no_claims_give_no_judgements() -> None:
    assert judge([], "lower") == []


@pytest.mark.parametrize(
    ("parts", "decides"),
    [
        ([part("supported", 0.01), part("supported", 0.03), part("supported", 0.02)], 1),
        ([part("supported", 0.01), part("inconclusive", 0.3, 9), part("inconclusive", 0.2, 14)], 2),
        ([part("inconclusive", 0.3, 9), part("inconclusive"), part("inconclusive", 0.2, 14)], 1),
        ([part("inconclusive", 0.3, 9), part("inconclusive", 1.0)], 1),
        ([part("inconclusive"), NO_RUNS, part("inconclusive", 1.0)], 1),
        ([NO_RUNS, part("contradicted", 0.02), part("contradicted", 0.01), part("supported", 0.001)], 2),
    ],
)
def test_one_part_decides_a_claim_of_several(parts: list[Judgement], decides: int) -> None:
    assert combine(parts) is parts[decides]
    assert combine(parts[::-1]) is parts[decides]


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        (part("supported", 0.012), "p = 0.012"),
        (part("supported", 0.04967), "p = 0.0497"),
        (part("supported", 0.0), "p < 0.001"),
        (part("contradicted", 0.003), "p = 0.003"),
        (part("inconclusive", 0.2, 14), "about 14 seeds would decide"),
        (part("inconclusive", 0.9, 1234), "about 1,234 seeds would decide"),
        (part("inconclusive", 0.9), "more than 10,000 seeds would be needed"),
        (judge([({0: 0.1}, {0: 0.3})], "lower")[0], "one seed has no spread"),
        (judge([({}, LOW)], "lower")[0], "no runs"),
        (judge([(LOW, LOW)], "lower")[0], "no difference"),
        (
            judge([({0: 1.0, 1: 3.0}, {0: 2.0, 1: 4.0})], "lower")[0],
            "the 2 seeds differ by equal amounts, so there is no spread",
        ),
    ],
)
def test_a_judgement_is_described_by_its_reason(judgement: Judgement, expected: str) -> None:
    assert describe(judgement) == expected


def test_most_claims_are_decided_with_the_seeds_needed() -> None:
    """With the number of seeds that the first look asks for, most second looks decide."""
    generator = np.random.default_rng(11)
    n = seeds_needed(0.01, 0.01, paired=True)
    assert n is not None
    outcomes = []
    for _ in range(300):
        shared = generator.normal(0.3, 0.05, n)  # what a seed does to both: pairing takes it out
        draws = shared, shared + generator.normal(0.01, 0.01, n)
        outcomes.append(judge([(dict(enumerate(draws[0])), dict(enumerate(draws[1])))], "lower")[0].outcome)
    assert outcomes.count("supported") / 300 == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / 300) + 0.03)
    assert outcomes.count("contradicted") == 0
