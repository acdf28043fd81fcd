"""How many seeds a difference needs."""

import math

import numpy as np
import pytest
from scipy import stats

from attnbench.errors import OptionError
from attnbench.tables.verdicts.anytime import Estimate, critical_t
from attnbench.tables.verdicts.power import chance_beyond, power_at, seeds_needed


def two_rows(n: int, std: float = 1.0, rows: int = 2) -> Estimate:
    return Estimate(0.1, std, n / 2, rows * (n - 1), n)


@pytest.mark.parametrize(("bound", "freedom", "shift"), [(2.1, 4, 0.0), (2.1, 4, 3.0), (3.2, 81, 5.0), (12.7, 1, 2.0)])
def test_the_chance_is_that_of_the_noncentral_t_distribution(bound: float, freedom: float, shift: float) -> None:
    expected = stats.nct.sf(bound, freedom, shift) + stats.nct.cdf(-bound, freedom, shift)
    assert chance_beyond(bound, freedom, shift) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(("difference", "rows"), [(1.0, 2), (1.5, 9), (3.0, 4)])
def test_the_seeds_needed_find_the_difference_in_simulation(difference: float, rows: int) -> None:
    n = seeds_needed(difference, two_rows(3, rows=rows), 0.05)
    assert n is not None
    assert simulated(n, difference, rows) == pytest.approx(
        power_at(n, difference, two_rows(3, rows=rows), 0.05), abs=0.02
    )
    assert (
        power_at(n - 1, difference, two_rows(3, rows=rows), 0.05)
        < 0.8
        <= power_at(n, difference, two_rows(3, rows=rows), 0.05)
    )


@pytest.mark.parametrize(("n", "rows"), [(5, 2), (10, 8)])
def test_a_true_difference_of_the_smallest_one_shown_is_shown_half_of_the_time(n: int, rows: int) -> None:
    estimate = two_rows(n, rows=rows)
    assert simulated(n, estimate.half_width(), rows) == pytest.approx(0.5, abs=0.05)


def simulated(n: int, difference: float, rows: int) -> float:
    values = np.random.default_rng(1).normal(size=(20_000, rows, n))
    values[:, 0] += difference
    error = np.sqrt(values.var(axis=2, ddof=1).mean(1) * 2 / n)
    t = (values[:, 0].mean(1) - values[:, 1].mean(1)) / error
    return float(np.mean(np.abs(t) > critical_t(0.05, rows * (n - 1), n / 2)))


def test_more_spread_or_a_stricter_level_needs_more_seeds() -> None:
    base, wide, strict = (
        seeds_needed(1.0, two_rows(3), 0.05),
        seeds_needed(1.0, two_rows(3, std=2.0), 0.05),
        seeds_needed(1.0, two_rows(3), 0.001),
    )
    assert base is not None
    assert wide is not None
    assert strict is not None
    assert base < strict < wide


@pytest.mark.parametrize(
    ("difference", "estimate"),
    [(0.0, two_rows(3)), (1.0, two_rows(3, std=0.0)), (1.0, two_rows(1)), (1e-4, two_rows(3))],
)
def test_no_number_of_seeds_is_known(difference: float, estimate: Estimate) -> None:
    assert seeds_needed(difference, estimate, 0.05) is None


def test_a_large_difference_needs_one_more_seed_than_there_are() -> None:
    assert seeds_needed(1e6, two_rows(3), 0.05) == 4
    assert math.isclose(power_at(4, 1e6, two_rows(3), 0.05), 1, abs_tol=1e-6)


def test_wrong_options_are_rejected() -> None:
    with pytest.raises(OptionError, match="power=80"):
        seeds_needed(1.0, two_rows(3), 0.05, power=80)
