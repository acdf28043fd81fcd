"""Estimates of contrasts: by hand, against SciPy, and what the spread is taken from."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from attnbench.tables.verdicts.anytime import Estimate
from attnbench.tables.verdicts.estimates import estimate, pool_rows

ROWS: Mapping[str, Mapping[int, float]] = {
    "a": {0: 10.0, 1: 12.0, 2: 11.0},  # mean 11, variance 1
    "b": {0: 20.0, 1: 22.0, 2: 24.0},  # mean 22, variance 4
    "c": {5: 30.0, 6: 33.0},  # mean 31.5, variance 4.5
}


def minus(first: str, second: str, rows: Mapping[str, Mapping[int, float]] = ROWS, **options: bool) -> Estimate:
    found = estimate({first: (1.0, rows[first]), second: (-1.0, rows[second])}, pool_rows(rows), **options)
    assert found is not None
    return found


@pytest.mark.smoke
def test_a_pooled_difference_by_hand() -> None:
    # (2 * 1 + 2 * 4 + 1 * 4.5) / 5 = 2.9 with 5 degrees of freedom; the compared rows' own variance, 2.5, is smaller.
    found = minus("a", "b")
    assert (found.value, found.size, found.freedom, found.n, found.method) == (-11, 1.5, 5, 3, "pooled")
    assert found.std == pytest.approx(math.sqrt(2.9))
    assert found.error == pytest.approx(math.sqrt(2.9 * 2 / 3))


def test_the_compared_rows_variance_is_the_least() -> None:
    # b and c: (4 / 3 + 4.5 / 2) / (1 / 3 + 1 / 2) = 4.3 is above 2.9, and below the upper quartile of F(3, 5).
    found = minus("b", "c")
    assert (found.freedom, found.method) == (5, "pooled")
    assert found.std == pytest.approx(math.sqrt(4.3))


@pytest.mark.parametrize(("last", "method"), [(34.0, "pooled"), (34.5, "separate")])
def test_the_pool_lends_its_freedom_up_to_the_upper_quartile(last: float, method: str) -> None:
    # c's variance is 8 or 10.125: (2 * 4 + 3 c) / 5 over (2 * 1 + 2 * 4 + c) / 5 is 1.78 or 1.91; F(3, 5) has 1.88.
    assert minus("b", "c", {**ROWS, "c": {5: 30.0, 6: last}}).method == method


def test_rows_that_spread_more_keep_their_own_spread() -> None:
    rows = {
        **{f"r{row}": {seed: 0.1 * seed for seed in range(3)} for row in range(6)},
        "wide": {0: 0.0, 1: 9.0, 2: 5.0},
    }
    pool = pool_rows(rows)
    assert pool.separate == {"wide"}
    assert pool.p == pytest.approx(float(stats.bartlett(*(list(row.values()) for row in rows.values())).pvalue))
    assert pool.p is not None
    assert pool.p < 0.05  # of all rows, so it says why one is left out
    found = minus("wide", "r0", rows)
    reference = stats.ttest_ind(list(rows["wide"].values()), list(rows["r0"].values()), equal_var=False)
    assert found.method == "separate"
    assert found.value / found.error == pytest.approx(float(reference.statistic))
    assert found.freedom == pytest.approx(float(reference.df))


def test_a_row_without_spread_keeps_its_own_and_is_not_tested() -> None:
    pool = pool_rows({**ROWS, "still": {0: 1.0, 1: 1.0}})
    assert pool.separate == {"still"}
    assert pool.p == pytest.approx(float(stats.bartlett(*(list(row.values()) for row in ROWS.values())).pvalue))


def test_two_rows_alone_give_students_t() -> None:
    rows = {"a": {0: 1.0, 1: 2.0, 2: 4.0}, "b": {0: 2.0, 1: 3.5, 2: 4.0}}
    found = minus("a", "b", rows)
    reference = stats.ttest_ind(list(rows["a"].values()), list(rows["b"].values()))
    assert found.value / found.error == pytest.approx(float(reference.statistic))
    assert found.freedom == 4


def test_paired_values_are_compared_by_seed() -> None:
    # Differences -10, -10, -13: mean -11, variance 3; in a row's deviations sqrt(3 / 2).
    found = minus("a", "b", paired=True)
    assert (found.value, found.freedom, found.method) == (-11, 2, "paired")
    reference = stats.ttest_rel(list(ROWS["a"].values()), list(ROWS["b"].values()))
    assert found.value / found.error == pytest.approx(float(reference.statistic))
    assert estimate({"a": (1.0, ROWS["a"]), "c": (-1.0, ROWS["c"])}, None, paired=True) is None  # no seed in common


def test_an_interaction_by_hand() -> None:
    rows = {
        name: {seed: value + shift for seed, value in ROWS["a"].items()}
        for name, shift in zip("pqrs", (0, 1, 3, 7), strict=True)
    }
    weights = {"p": 1.0, "q": -1.0, "r": -1.0, "s": 1.0}
    found = estimate({name: (weight, rows[name]) for name, weight in weights.items()}, pool_rows(rows))
    assert found is not None
    assert (found.value, found.size, found.std, found.freedom) == (3, 3 / 4, 1, 8)  # (0 - 1) - (3 - 7)


@pytest.mark.parametrize(("first", "n"), [({0: 3.0}, 1), ({}, 0)])
def test_one_seed_gives_a_difference_and_no_test(first: dict[int, float], n: int) -> None:
    found = estimate({"x": (1.0, first), "a": (-1.0, ROWS["a"])}, pool_rows({"x": first, **ROWS}))
    if not n:
        assert found is None
        return
    assert found is not None
    assert (found.value, found.n, found.p()) == (-8, 1, None)
    assert (found.std, found.freedom, found.interval()) == (0, 0, None)


def test_rounding_is_no_spread() -> None:
    found = minus("x", "y", {"x": {0: 0.1 + 0.2, 1: 0.3}, "y": {0: 0.3, 1: 0.3}})
    assert (found.value, found.std, found.p()) == (0, 0, None)


def test_the_pooled_t_of_a_single_look_is_that_of_dunnetts_test() -> None:
    generator = np.random.default_rng(4)
    values = generator.normal(size=(4, 6))
    values[1] += 1
    rows = {f"r{row}": dict(enumerate(side.tolist())) for row, side in enumerate(values)}
    reference = stats.dunnett(*values[1:], control=values[0])
    pool = pool_rows(rows)
    assert (len(pool.members), pool.freedom) == (4, 20)
    for row in (1, 2, 3):
        t = minus(f"r{row}", "r0", rows).value / math.sqrt(pool.variance * 2 / 6)
        assert t == pytest.approx(float(reference.statistic[row - 1]))
