"""The simulation of verdicts judges as attnbench does."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower

from attnbench.tables.verdicts.anytime import LEVEL, log_bayes_factor
from attnbench.tables.verdicts.estimates import estimate, pool_rows

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import simulate_verdicts


@pytest.mark.parametrize("heavy", [False, True])
def test_the_simulated_rule_is_that_of_the_tables(heavy: bool) -> None:
    generator = np.random.default_rng(2)
    values = simulate_verdicts.draw(generator, 12, [1.0, 2.0, 1.0, 0.5], 2.0, heavy)
    found = simulate_verdicts.guarded(simulate_verdicts.moments(values))
    for table, decided in zip(values, found, strict=True):
        assert [judged(table[:, :n]) for n in (3, 8, 30)] == [bool(decided[n - 2]) for n in (3, 8, 30)]


def judged(values: np.ndarray) -> bool:
    rows = {row: dict(enumerate(seeds)) for row, seeds in enumerate(values.tolist())}
    found = estimate({1: (1.0, rows[1]), 0: (-1.0, rows[0])}, pool_rows(rows))
    p = found.p() if found else None
    return p is not None and p <= LEVEL


def test_the_bayes_factor_of_arrays_is_that_of_numbers() -> None:
    t, freedom, size = (np.array(side) for side in ([0.5, 3.0, 9.0], [4.0, 40.0, 8.0], [1.5, 20.0, 2.0]))
    expected = [log_bayes_factor(*three) for three in zip(t.tolist(), freedom.tolist(), size.tolist(), strict=True)]
    assert simulate_verdicts.log_bayes_factor(t, freedom, size) == pytest.approx(expected)
    assert math.isfinite(sum(expected))


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0, 3.0])
def test_a_planned_test_has_the_seeds_of_statsmodels(effect: float) -> None:
    exact = TTestIndPower().solve_power(effect, power=0.8, alpha=LEVEL)  # two rows
    assert simulate_verdicts.planned_seeds(effect, rows=2) == math.ceil(exact)
    assert simulate_verdicts.planned_seeds(effect, rows=6) <= math.ceil(exact)
