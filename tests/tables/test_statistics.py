"""Statistics of seeds: worked by hand, compared with SciPy, and properties of any values."""

import math
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnbench.errors import OptionError
from attnbench.tables.statistics import Difference, compare, holm, summarise

T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
"""Quantiles of Student's t by degrees of freedom, as printed in tables."""

finite = st.integers(-(10**9), 10**9).map(lambda count: count / 1000)
metric = st.integers(-1000, 1000).map(lambda count: count / 8)  # exact: shifts lose nothing
few = st.lists(finite, max_size=6)
by_seed = st.dictionaries(st.integers(0, 5), finite, max_size=6)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def compared(a: Mapping[int, float], b: Mapping[int, float]) -> Difference:
    found = compare(a, b)
    assert found is not None
    return found


@pytest.mark.smoke
def test_a_summary_by_hand() -> None:
    # Mean (4 + 6 + 8) / 3 = 6; squares of 2, 0, 2 sum to 8; 8 / (3 - 1) = 4; half width 4.303 * 2 / sqrt(3) = 4.968.
    found = summarise([4, 6, 8])
    assert found is not None
    assert (found.n, found.mean, found.std, found.method) == (3, 6, 2, "t")
    assert (found.low, found.high) == pytest.approx((6 - 4.968, 6 + 4.968), abs=1e-3)


def test_few_values_have_no_spread() -> None:
    assert summarise([]) is None
    one = summarise([0.3])
    assert one is not None
    assert (one.n, one.mean, one.std, one.low, one.high, one.method) == (1, 0.3, None, None, None, None)


@pytest.mark.smoke
def test_a_paired_difference_by_hand() -> None:
    # Differences 1, 2, 3, 6: mean 3, squares of 2, 1, 0, 3 sum to 14, std sqrt(14 / 3) = 2.1602, error 1.0801,
    # t = 2.7775. For 3 degrees of freedom p = 1 - 2 / pi * (x / (1 + x^2) + atan(x)) with x = t / sqrt(3).
    found = compared(seeds(11, 22, 33, 46), seeds(10, 20, 30, 40))
    x = 3 / math.sqrt(14 / 3 / 4) / math.sqrt(3)
    assert (found.mean, found.paired, found.n) == (3, True, 4)
    assert found.p == pytest.approx(1 - 2 / math.pi * (x / (1 + x * x) + math.atan(x)))
    assert found.std == pytest.approx(math.sqrt(14 / 3))
    assert (found.low, found.high) == pytest.approx((3 - T_975[3] * 1.0801, 3 + T_975[3] * 1.0801), abs=1e-3)


@pytest.mark.smoke
def test_welch_by_hand() -> None:
    # a = 1, 3 (mean 2, variance 2), b = 5, 7, 9, 11 (mean 8, variance 20 / 3): squared error 2 / 2 + 20 / 3 / 4
    # = 8 / 3; degrees of freedom (8 / 3)^2 / (1^2 / 1 + (5 / 3)^2 / 3) = 7.111 / 1.9259 = 3.692.
    found = compared({0: 1, 1: 3}, {5: 5, 6: 7, 7: 9, 8: 11})
    assert (found.mean, found.paired, found.n) == (-6, False, 2)
    assert found.std == pytest.approx(math.sqrt((2 + 20 / 3) / 2))
    error, freedom = math.sqrt(8 / 3), (8 / 3) ** 2 / (1 + 25 / 27)
    assert found.p == pytest.approx(2 * stats.t.cdf(-6 / error, freedom))
    half = (found.high or 0) + 6
    assert T_975[4] * error < half < T_975[3] * error
    assert half == pytest.approx(stats.t.ppf(0.975, freedom) * error)


@pytest.mark.parametrize("draw", range(5))
def test_both_tests_are_those_of_scipy(draw: int) -> None:
    generator = np.random.default_rng(draw)
    a, b = generator.normal(0.3, 0.1, 3 + draw), generator.normal(0.25, 0.3, 3 + draw)
    paired, welch = stats.ttest_rel(a, b), stats.ttest_ind(a, b, equal_var=False)
    elsewhere = {seed + 100: value for seed, value in enumerate(b)}
    for found, reference in ((compared(seeds(*a), seeds(*b)), paired), (compared(seeds(*a), elsewhere), welch)):
        interval = reference.confidence_interval(0.95)
        expected = (a.mean() - b.mean(), interval.low, interval.high, reference.pvalue)
        assert (found.mean, found.low, found.high, found.p) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "paired", "n", "mean"),
    [
        ({0: 1, 1: 2}, {1: 1, 0: 1}, True, 2, 0.5),  # the same seeds, in whatever order
        ({0: 1, 1: 2, 2: 9}, {0: 1, 1: 1}, True, 2, 0.5),  # all of one side: the other's seed 2 is left out
        ({0: 1, 1: 2, 2: 9}, {0: 1, 1: 1, 3: 1}, False, 3, 3),  # each has one that the other lacks
        ({0: 1, 1: 2}, {1: 1, 2: 5}, False, 2, -1.5),
        ({0: 1, 1: 2}, {2: 1, 3: 5, 4: 3}, False, 2, -1.5),
    ],
)
def test_seeds_decide_between_a_paired_and_welchs_test(
    a: dict[int, float], b: dict[int, float], paired: bool, n: int, mean: float
) -> None:
    found = compared(a, b)
    assert (found.paired, found.n, found.mean) == (paired, n, mean)
    assert found.p is not None


@pytest.mark.parametrize(("a", "b"), [({0: 3}, {0: 1}), ({0: 3}, {0: 1, 1: 1}), ({0: 2, 1: 4}, {5: 1})])
def test_one_seed_gives_a_difference_and_no_test(a: dict[int, float], b: dict[int, float]) -> None:
    assert compare(a, b) == Difference(2, None, None, None, False, 1)


@pytest.mark.parametrize(("a", "b"), [({}, {0: 1.0}), ({0: 1.0}, {}), ({}, {})])
def test_no_seed_gives_nothing(a: dict[int, float], b: dict[int, float]) -> None:
    assert compare(a, b) is None


@pytest.mark.parametrize("method", ["t", "bootstrap"])
@pytest.mark.parametrize("shift", [0, 10])
@pytest.mark.parametrize(
    ("a", "b", "mean", "p"),
    [
        ([0.3, 0.2], [0.2, 0.1], 0.1, 0.0),  # 0.09999999999999998 and 0.1
        ([0.7, 0.7], [0.7, 0.7], 0.0, 1.0),
        ([0.1 + 0.2, 0.5], [0.3, 0.5], 0.0, 1.0),  # 0.30000000000000004
        ([0.0, 0.0], [0.0, 0.0], 0.0, 1.0),
        ([5e-324, 5e-324], [0.0, 0.0], 5e-324, 0.0),
    ],
)
def test_differences_without_spread_have_an_interval_without_width(
    a: list[float], b: list[float], mean: float, p: float, shift: int, method: str
) -> None:
    """Paired (shift 0) as well as Welch's, where only constant sides have no spread."""
    if shift and a[0] != a[1]:
        a, b = [a[0]] * 2, [b[0]] * 2
    found = compare(seeds(*a), {seed + shift: value for seed, value in enumerate(b)}, method=method)
    assert found is not None
    assert found.paired == (shift == 0)
    assert found.mean == pytest.approx(mean)
    assert (found.p, found.std) == (p, 0)
    assert found.low == found.mean == found.high


def test_one_constant_side_leaves_the_others_spread() -> None:
    found, alone = compared(seeds(4, 6, 8), {7: 1, 8: 1}), summarise([4, 6, 8])
    assert alone is not None
    assert alone.low is not None
    assert found.low == pytest.approx(alone.low - 1)  # Welch's degrees of freedom are the other side's: 2


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


def test_a_bootstrapped_difference_is_of_the_same_means() -> None:
    a, b = seeds(0.31, 0.28, 0.35, 0.30, 0.42), seeds(0.21, 0.27, 0.25, 0.22, 0.26)
    elsewhere = {seed + 100: value for seed, value in b.items()}
    for other in (b, elsewhere):
        straight, found = compared(a, other), compare(a, other, method="bootstrap")
        assert found is not None
        assert (found.mean, found.p, found.paired) == (straight.mean, straight.p, straight.paired)
        pair = [a[seed] - b[seed] for seed in a], [0.0]
        independent = list(a.values()), list(b.values())
        low, high = resampled(*(pair if found.paired else independent))
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.015)  # BCa corrects the skew


def resampled(a: list[float], b: list[float]) -> tuple[float, float]:
    """The percentile interval, drawn without SciPy."""
    generator = np.random.default_rng(1)
    means = [generator.choice(side, (20_000, len(side))).mean(axis=1) for side in (a, b)]
    low, high = np.percentile(means[0] - means[1], [2.5, 97.5])
    return float(low), float(high)


@pytest.mark.parametrize(("std", "noise"), [(1.0, "normal"), (0.01, "normal"), (1.0, "uniform")])
def test_the_t_interval_covers_the_mean_as_often_as_it_says(std: float, noise: str) -> None:
    generator = np.random.default_rng(3)
    draws = generator.normal(0, std, (3000, 4)) if noise == "normal" else generator.uniform(-1, 1, (3000, 4))
    found = [summarise(draw) for draw in draws]
    covered = np.mean([one.low < 0 < one.high for one in found if one and one.low is not None and one.high is not None])
    tolerance = 3 * math.sqrt(0.95 * 0.05 / 3000) + (0.02 if noise == "uniform" else 0)  # t holds roughly, not exactly
    assert covered == pytest.approx(0.95, abs=tolerance)


def test_a_published_example_of_holm() -> None:
    """The 15 p values of Benjamini and Hochberg, Controlling the false discovery rate, 1995, section 3.2: procedures
    that control what Holm's does reject the first three at 0.05.
    """
    ps = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ]  # fmt: skip
    adjusted = [p for p in holm(ps) if p is not None]
    assert adjusted[:5] == pytest.approx([15 * 0.0001, 14 * 0.0004, 13 * 0.0019, 12 * 0.0095, 11 * 0.0201])
    assert sum(p < 0.05 for p in adjusted) == 3


@pytest.mark.parametrize(
    ("ps", "expected"),
    [
        ([], []),
        ([None], [None]),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 3 * 0.01; 0.04 not below 2 * 0.03; 4 * 0.005
        ([0.01, None, 0.04, 0.03, None, 0.005], [0.03, None, 0.06, 0.06, None, 0.02]),
        ([0.5, 0.5, 0.5], [1, 1, 1]),
        ([0.0, 0.02, 0.0], [0, 0.02, 0]),
    ],
)
def test_holm_by_hand(ps: list[float | None], expected: list[float | None]) -> None:
    assert holm(ps) == pytest.approx(expected)


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_is_at_least_p(ps: list[float | None]) -> None:
    adjusted = holm(ps)
    assert [p is None for p in adjusted] == [p is None for p in ps]
    known = sorted((p, q) for p, q in zip(ps, adjusted, strict=True) if p is not None and q is not None)
    assert all(p <= q <= min(1, len(known) * p) for p, q in known)
    assert [q for _, q in known] == sorted(q for _, q in known)


def test_holm_rarely_rejects_what_is_true() -> None:
    """Of 1500 tables of three true hypotheses about 5 % have any rejection; without Holm it would be 14 %."""
    generator = np.random.default_rng(5)
    tables = generator.normal(size=(1500, 3, 2, 4))
    ps = [[compared(seeds(*a), seeds(*b)).p for a, b in table] for table in tables]
    share = np.mean([any(p is not None and p < 0.05 for p in holm(table)) for table in ps])
    assert share == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 1500))


@given(by_seed, by_seed)
def test_a_minus_b_is_the_opposite_of_b_minus_a(a: dict[int, float], b: dict[int, float]) -> None:
    one, other = compare(a, b), compare(b, a)
    if one is None or other is None:
        assert not a or not b
        return
    assert (one.mean, one.p, one.std, one.n, one.paired) == (-other.mean, other.p, other.std, other.n, other.paired)
    if one.low is not None and one.high is not None:
        assert (other.low, other.high) == (-one.high, -one.low)


@given(
    st.dictionaries(st.integers(0, 3), metric, min_size=2),
    st.dictionaries(st.integers(0, 3), metric, min_size=2),
    metric,
    st.sampled_from(["t", "bootstrap"]),
)
@settings(max_examples=40)
def test_a_shift_of_all_values_shifts_the_means_alone(
    a: dict[int, float], b: dict[int, float], shift: float, method: str
) -> None:
    moved_a, moved_b = ({seed: value + shift for seed, value in side.items()} for side in (a, b))
    here, there = compare(a, b, method=method), compare(moved_a, moved_b, method=method)
    assert here is not None
    assert there is not None
    assert (there.mean, there.low, there.high, there.p, there.std) == pytest.approx(
        (here.mean, here.low, here.high, here.p, here.std), abs=1e-9
    )
    one, moved = summarise(a.values(), method), summarise(moved_a.values(), method)
    assert one is not None
    assert moved is not None
    assert (moved.mean, moved.std) == pytest.approx((one.mean + shift, one.std))
    assert one.low is not None
    assert one.high is not None
    assert (moved.low, moved.high) == pytest.approx((one.low + shift, one.high + shift), abs=1e-9)


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


@given(by_seed, by_seed, st.sampled_from(["t", "bootstrap"]))
@settings(max_examples=60)
def test_a_difference_of_finite_values_is_finite_and_ordered(
    a: dict[int, float], b: dict[int, float], method: str
) -> None:
    found = compare(a, b, method=method)
    if found is None:
        return
    assert math.isfinite(found.mean)
    if found.low is None or found.high is None or found.p is None:
        assert min(len(a), len(b)) == 1
        return
    assert all(map(math.isfinite, (found.low, found.high)))
    slack = 1e-12 * max(abs(value) for side in (a, b) for value in side.values())
    assert found.low - slack <= found.mean <= found.high + slack
    assert 0 <= found.p <= 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_rejected(value: float) -> None:
    for call in (lambda: summarise([1, value]), lambda: compare({0: 1}, {0: value})):
        with pytest.raises(OptionError, match="finite"):
            call()


def test_wrong_options_are_rejected() -> None:
    with pytest.raises(OptionError, match="method=z: must be one of t, bootstrap"):
        summarise([1], method="z")
    with pytest.raises(OptionError, match="level=95"):
        compare({0: 1}, {0: 1}, level=95)
