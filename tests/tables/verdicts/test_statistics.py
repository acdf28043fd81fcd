"""Summaries of seeds: worked by hand, compared with SciPy, and properties of any values."""

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnbench.errors import OptionError
from attnbench.tables.verdicts.statistics import summarise, wilson

finite = st.integers(-(10**9), 10**9).map(lambda count: count / 1000)
metric = st.integers(-1000, 1000).map(lambda count: count / 8)  # exact: shifts lose nothing
few = st.lists(finite, max_size=6)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.smoke
def test_a_summary_by_hand() -> None:
    # Mean (4 + 6 + 8) / 3 = 6; squares of 2, 0, 2 sum to 8; 8 / (3 - 1) = 4; half width 4.303 * 2 / sqrt(3) = 4.968.
    found = summarise([4, 6, 8])
    assert found is not None
    assert (found.n, found.mean, found.std, found.method) == (3, 6, 2, "t")
    assert (found.low, found.high) == pytest.approx((6 - 4.968, 6 + 4.968), abs=1e-3)


def test_wilsons_interval_by_hand() -> None:
    # z = 1.96: (0.8 + z^2 / 20 ± z sqrt(0.8 * 0.2 / 10 + z^2 / 400)) / (1 + z^2 / 10)
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_few_values_have_no_spread() -> None:
    assert summarise([]) is None
    one = summarise([0.3])
    assert one is not None
    assert (one.n, one.mean, one.std, one.low, one.high, one.method) == (1, 0.3, None, None, None, None)


def test_the_bootstrap_is_scipys_and_says_which() -> None:
    values = [0.31, 0.28, 0.35, 0.30, 0.42, 0.29]
    found = summarise(values, method="bootstrap")
    assert found is not None
    assert found == summarise(values, method="bootstrap")
    reference = stats.bootstrap((values,), np.mean, n_resamples=50_000, random_state=np.random.default_rng(1))
    interval = reference.confidence_interval
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.003)
    assert found.method == "BCa"
    constant = summarise([0.3, 0.3, 0.3], method="bootstrap")
    assert constant is not None
    assert (constant.low, constant.high, constant.method) == (0.3, 0.3, "percentile")


@pytest.mark.parametrize(("std", "noise"), [(1.0, "normal"), (0.01, "normal"), (1.0, "uniform")])
def test_the_t_interval_covers_the_mean_as_often_as_it_says(std: float, noise: str) -> None:
    generator = np.random.default_rng(3)
    draws = generator.normal(0, std, (3000, 4)) if noise == "normal" else generator.uniform(-1, 1, (3000, 4))
    found = [summarise(draw) for draw in draws]
    covered = np.mean([one.low < 0 < one.high for one in found if one and one.low is not None and one.high is not None])
    tolerance = 3 * math.sqrt(0.95 * 0.05 / 3000) + (0.02 if noise == "uniform" else 0)  # t holds roughly, not exactly
    assert covered == pytest.approx(0.95, abs=tolerance)


@given(few | st.builds(lambda value, n: [value] * n, finite, st.integers(0, 6)), st.sampled_from(["t", "bootstrap"]))
@settings(max_examples=60)
def test_a_summary_of_finite_values_is_finite_and_ordered(values: list[float], method: str) -> None:
    found = summarise(values, method)
    if found is None or found.low is None or found.high is None or found.std is None:
        assert len(values) < 2
        return
    assert all(map(math.isfinite, (found.mean, found.std, found.low, found.high)))
    slack = 1e-12 * max(map(abs, values))
    assert found.low - slack <= found.mean <= found.high + slack
    assert (found.std == 0) == (min(values) == max(values)) or found.std < 1e-300  # a subnormal deviation may vanish


@given(st.lists(metric, min_size=2, max_size=6), metric, st.sampled_from(["t", "bootstrap"]))
@settings(max_examples=40)
def test_a_shift_of_all_values_shifts_the_mean_and_its_interval(values: list[float], shift: float, method: str) -> None:
    one, moved = summarise(values, method), summarise([value + shift for value in values], method)
    assert one is not None
    assert moved is not None
    assert (moved.mean, moved.std) == pytest.approx((one.mean + shift, one.std))
    assert one.low is not None
    assert one.high is not None
    assert (moved.low, moved.high) == pytest.approx((one.low + shift, one.high + shift), abs=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_rejected(value: float) -> None:
    with pytest.raises(OptionError, match="finite"):
        summarise([1, value])


def test_wrong_options_are_rejected() -> None:
    with pytest.raises(OptionError, match="method=z: must be one of t, bootstrap"):
        summarise([1], method="z")
    with pytest.raises(OptionError, match="level=95"):
        summarise([1, 2], level=95)
