"""Comparisons of a table's cells: which runs are compared, and with what spread."""

import math

import pytest

from attnbench.tables.remarks import spread_remarks
from attnbench.tables.spec.table import Term
from attnbench.tables.verdicts.comparisons import Comparisons
from tests.tables.sample_results import inputs

NARROW = {("r" + str(row), "c"): {seed: 0.1 * seed for seed in range(3)} for row in range(6)}
WIDE = {("wide", "c"): {0: 0.0, 1: 9.0, 2: 5.0}}


def test_a_prediction_interval_by_hand() -> None:
    # Mean 6, deviation 2, t = 4.302653 with 2 degrees of freedom: 4.302653 * 2 * sqrt(1 + 1 / 3) = 9.93655.
    found = Comparisons(inputs({("a", "c"): {0: 4.0, 1: 6.0, 2: 8.0}})).prediction("a", "c")
    assert found == pytest.approx((6 - 9.93655, 6 + 9.93655), abs=1e-4)


@pytest.mark.parametrize("values", [{}, {0: 4.0}, {0: 4.0, 1: 4.0}])
def test_nothing_is_predicted_without_spread(values: dict[int, float]) -> None:
    assert Comparisons(inputs({("a", "c"): values})).prediction("a", "c") is None


def test_the_row_that_spreads_more_keeps_its_own_spread() -> None:
    comparisons = Comparisons(inputs({**NARROW, **WIDE}))
    assert [row for row, _ in (*NARROW, *WIDE) if comparisons.keeps_own_spread((row, "c"))] == ["wide"]


def test_the_remark_on_spread_has_the_test_over_all_rows_and_who_keeps_its_own() -> None:
    pooled = "; pooled over the other rows: 0.1 with 12 degrees of freedom."
    assert list(spread_remarks(Comparisons(inputs({**NARROW, **WIDE})))) == [
        "Spread: Bartlett's test of equal variances over all rows: p < 0.001; rows that keep their own spread: wide"
        + pooled
    ]
    assert list(spread_remarks(Comparisons(inputs(NARROW)))) == [
        "Spread: Bartlett's test of equal variances over all rows: p = 1.00; pooled over all: 0.1 with 12 degrees of "
        "freedom."
    ]
    chance = {("chance", "c"): {0: 0.0, 1: 0.1, 2: 0.2}}
    (text,) = spread_remarks(Comparisons(inputs({**NARROW, **chance}, accuracy={("chance", "c"): 0.1})))
    assert "over all rows that have learned: p = 1.00" in text


def test_networks_that_have_not_learned_are_not_pooled() -> None:
    comparisons = Comparisons(
        inputs({**NARROW, ("chance", "c"): {0: 0.0, 1: 0.1, 2: 0.2}}, accuracy={("chance", "c"): 0.1})
    )
    assert (len(comparisons.pools["c"].members), comparisons.pools["c"].freedom) == (6, 12)
    assert list(comparisons.untrained) == [("chance", "c")]


def test_the_same_comparison_with_a_baseline_is_counted_once() -> None:
    cells = {
        (row, "c"): {0: 1.0 + place, 1: 2.0 + place} for place, row in enumerate(("base", "a", "b", "twin", "same"))
    }
    runs = {key: key[0] for key in cells} | {("twin", "c"): "a", ("same", "c"): "base"}
    assert Comparisons(inputs(cells, runs=runs, baseline="base")).compared_with_baselines("c") == 2
    assert Comparisons(inputs(cells, baseline="base")).compared_with_baselines("c") == 4
    assert Comparisons(inputs(cells)).compared_with_baselines("c") == 1


def test_rows_that_subtract_the_same_baseline_are_compared_by_seed() -> None:
    # Differences 2, 3, 6: mean 11 / 3, squares of deviations (25 + 4 + 49) / 9, variance 13 / 3.
    cells = {("a", "c"): {0: 3.0, 1: 5.0, 2: 9.0, 7: 50.0}, ("b", "c"): {0: 1.0, 1: 2.0, 2: 3.0}}
    found = Comparisons(inputs(cells, metric="accuracy_per_million")).difference("a", "b", "c")
    assert found is not None
    assert (found.method, found.n, found.freedom) == ("paired", 3, 2)
    assert (found.value, found.error) == pytest.approx((11 / 3, math.sqrt(13 / 3 / 3)))


def test_weights_of_cells_with_the_same_runs_are_added() -> None:
    # a and twin are one sample: 2 a - 2 b, not four samples that vary on their own.
    cells = {("a", "c"): {0: 3.0, 1: 5.0}, ("b", "c"): {0: 1.0, 1: 2.0}, ("twin", "c"): {0: 3.0, 1: 5.0}}
    runs = {("a", "c"): "one", ("twin", "c"): "one", ("b", "c"): "other"}
    terms = [Term("a", "c", 1.0), Term("twin", "c", 1.0), Term("b", "c", -2.0)]
    found = Comparisons(inputs(cells, runs=runs)).estimate(terms)
    assert found is not None
    assert (found.value, found.size) == (5, 0.25)  # 1 / (4 / 2 + 4 / 2)
    assert Comparisons(inputs(cells, runs=runs)).difference("a", "twin", "c") is None
