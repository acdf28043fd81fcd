"""Which rows have a common variance."""

import numpy as np
import pytest
from scipy import stats

from attnbench.tables.verdicts.variances import alike, bartlett_of, borrow


@pytest.mark.parametrize("draw", range(4))
def test_bartletts_test_is_scipys(draw: int) -> None:
    generator = np.random.default_rng(draw)
    rows = [generator.normal(0, 1 + draw * row, 3 + row) for row in range(4)]
    found = bartlett_of([(len(row) - 1, float(row.var(ddof=1))) for row in rows])
    assert found == pytest.approx(float(stats.bartlett(*rows).pvalue))


def test_the_row_that_differs_most_is_left_out_until_the_others_are_alike() -> None:
    freedoms = [9] * 5
    assert alike(freedoms, [1.0, 1.1, 0.9, 1.2, 1.0]).tolist() == [True] * 5
    assert alike(freedoms, [1.0, 1.1, 30.0, 1.2, 1.0]).tolist() == [True, True, False, True, True]
    assert alike(freedoms, [1.0, 1.1, 30.0, 0.01, 1.0]).tolist() == [True, True, False, False, True]


def test_rows_without_spread_or_with_one_seed_are_left_out() -> None:
    assert alike([2, 2, 0], [1.0, 0.0, 1.0]).tolist() == [True, False, False]


def test_many_tables_are_judged_at_once() -> None:
    freedoms = np.full((2, 3), 9.0)
    found = alike(freedoms, np.array([[1.0, 1.1, 0.9], [1.0, 40.0, 0.9]]))
    assert found.tolist() == [[True, True, True], [True, False, True]]


def test_degrees_of_freedom_are_borrowed_up_to_the_upper_quartile_of_f() -> None:
    quartile = stats.f.ppf(0.75, 4, 12)
    assert borrow(0.99 * quartile, 4, 1.0, 12)
    assert not borrow(1.01 * quartile, 4, 1.0, 12)
