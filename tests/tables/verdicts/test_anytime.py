"""The anytime-valid test: against numerical integration, by its definition, and in simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate

from attnbench.tables.verdicts.anytime import LEVEL, Estimate, critical_t, log_bayes_factor

levels = st.floats(1e-6, 0.5)
sizes = st.floats(0.6, 100)
freedoms = st.floats(1, 500)


def integrated(values: NDArray[np.float64], prior: float) -> float:
    """The Bayes factor of two rows (2, n) by integration over sigma, the effect and the common mean.

    The likelihood of the residuals and of both means is integrated over a flat prior of the grand mean, which leaves
    the difference d ~ N(sigma effect, 2 sigma^2 / n), over d sigma / sigma and, under the alternative, a normal effect.
    """
    n = values.shape[1]
    residual = float(((values - values.mean(1, keepdims=True)) ** 2).sum())
    d = float(values[0].mean() - values[1].mean())

    def likelihood(sigma: float, effect: float) -> float:
        normal = math.exp(-((d - sigma * effect) ** 2) * n / (4 * sigma**2)) / sigma
        return float(sigma ** (-2 * (n - 1)) * math.exp(-residual / (2 * sigma**2)) * normal / sigma)

    def weighted(effect: float, sigma: float) -> float:
        return likelihood(sigma, effect) * math.exp(-(effect**2) / (2 * prior)) / math.sqrt(2 * math.pi * prior)

    null = integrate.quad(lambda sigma: likelihood(sigma, 0.0), 0.05, 20)[0]
    return float(integrate.dblquad(weighted, 0.05, 20, -12, 12)[0] / null)


@pytest.mark.smoke
@pytest.mark.parametrize("prior", [1.0, 4.0])
def test_the_bayes_factor_is_that_of_numerical_integration(prior: float) -> None:
    values = np.array([[1.0, 1.4, 0.9], [2.1, 1.7, 2.4]])
    freedom, size = 4, 1.5
    deviation = math.sqrt(float(values.var(axis=1, ddof=1).mean()))
    t = float(values[0].mean() - values[1].mean()) / (deviation / math.sqrt(size))
    expected = integrated(values, prior)
    assert math.exp(log_bayes_factor(t, freedom, size, prior)) == pytest.approx(expected, rel=1e-4)


def test_the_bayes_factor_by_hand() -> None:
    # g k = 4 * 1.5 = 6: 7^(-1/2) * ((1 + 16 / 4) / (1 + 16 / 28))^(5 / 2) = 0.37796 * (3.18182)^2.5 = 0.37796 * 18.0589
    assert math.exp(log_bayes_factor(4, 4, 1.5)) == pytest.approx(6.8256, rel=1e-4)


@given(levels, freedoms, sizes)
def test_the_critical_t_is_where_the_bayes_factor_reaches_the_level(level: float, freedom: float, size: float) -> None:
    bound = critical_t(level, freedom, size)
    if bound == math.inf:
        assert log_bayes_factor(1e150, freedom, size) <= -math.log(level) * (1 + 1e-9) + 1e-9
    elif bound < 1e6:
        assert log_bayes_factor(bound, freedom, size) == pytest.approx(-math.log(level), rel=1e-5)


@given(st.floats(-5, 5), st.floats(0.01, 10), sizes, freedoms, levels, st.floats(-5, 5))
def test_the_interval_holds_what_the_test_does_not_reject(
    value: float, std: float, size: float, freedom: float, level: float, null: float
) -> None:
    estimate = Estimate(value, std, size, freedom, 3)
    interval, p = estimate.interval(level), estimate.p(null)
    assert p is not None
    inside = interval is None or interval[0] <= null <= interval[1]
    assert inside == (p > level) or p == pytest.approx(level, rel=1e-6)


@given(st.floats(-5, 5), st.floats(0.01, 10), sizes, freedoms, st.floats(0.001, 1000), st.floats(-100, 100))
def test_p_does_not_depend_on_the_unit(
    value: float, std: float, size: float, freedom: float, scale: float, null: float
) -> None:
    here, there = Estimate(value, std, size, freedom, 3), Estimate(value * scale, std * scale, size, freedom, 3)
    assert there.p(null * scale) == pytest.approx(here.p(null), rel=1e-6)


def test_without_spread_nothing_is_tested() -> None:
    constant = Estimate(1.0, 0.0, 1.5, 4, 3)
    assert constant.p() is None
    assert constant.interval() is None


def test_few_tables_are_wrong_although_they_are_looked_at_after_every_seed() -> None:
    """Of tables without a difference at most one in twenty is decided at any look; t tests decide a third of them."""
    generator = np.random.default_rng(3)
    wrong = 0
    for _ in range(400):
        values = generator.normal(size=(4, 30))
        wrong += any(p_after(values, n) <= LEVEL for n in range(2, 31))
    assert wrong / 400 < LEVEL


def p_after(values: NDArray[np.float64], n: int) -> float:
    seen = values[:, :n]
    std = math.sqrt(float(seen.var(axis=1, ddof=1).mean()))
    p = Estimate(float(seen[0].mean() - seen[1].mean()), std, n / 2, 4 * (n - 1), n).p()
    return 1.0 if p is None else p
