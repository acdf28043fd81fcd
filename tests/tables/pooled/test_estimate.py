"""Differences within blocks and their random-effects mean, against hand-computed cases and scipy."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from attnbench.tables.pooled.estimate import Effect, block_effects, pool, similar_variances

VALUES = st.lists(st.integers(0, 400).map(lambda n: n / 4), min_size=2, max_size=5)
EFFECTS = st.lists(
    st.tuples(st.integers(-40, 40), st.integers(1, 20)).map(lambda pair: Effect(pair[0] / 4, pair[1] / 4, 4.0)),
    min_size=2,
    max_size=8,
)


def test_a_block_s_variance_is_that_of_all_its_arms() -> None:
    arms = {"none": [1.0, 2.0, 3.0], "a": [2.0, 4.0, 6.0], "b": [5.0]}
    effects = block_effects(arms, "none")
    variance = (2 * 1 + 2 * 4) / 4  # of the two arms with a spread, by their degrees of freedom
    assert (effects["a"].mean, effects["a"].df, effects["b"].mean, effects["b"].df) == (2.0, 4.0, 3.0, 4.0)
    assert effects["a"].se == pytest.approx(math.sqrt(variance * 2 / 3))
    assert effects["b"].se == pytest.approx(math.sqrt(variance * 4 / 3))
    assert [effects["a"].size, effects["b"].size] == pytest.approx([1.5, 0.75])
    # the Bayes factor of `verdicts.anytime` is 20 at the interval's ends: g k = 4 * 1.5, four degrees of freedom
    low, high = effects["a"].interval or (math.nan, math.nan)
    assert low + high == pytest.approx(4.0)
    t = 2 * (high - 2.0) ** 2 / (variance * 4 / 3)
    assert 7**-0.5 * ((1 + t / 4) / (1 + t / (7 * 4))) ** 2.5 == pytest.approx(20)


@pytest.mark.filterwarnings("ignore:Precision loss")  # of scipy, where an arm has no spread
@given(VALUES, VALUES)
def test_two_similar_arms_have_student_s_error_and_a_wider_interval(first: list[float], second: list[float]) -> None:
    arms = {"none": first, "a": second}
    effect = block_effects(arms, "none")["a"]
    if effect.se is None:
        assert len({*first}) == len({*second}) == 1
        return
    student = stats.ttest_ind(second, first, equal_var=similar_variances(arms)).confidence_interval(0.95)
    half = (student.high - student.low) / 2
    assert effect.se * stats.t.ppf(0.975, effect.df) == pytest.approx(half, abs=1e-9)
    assert effect.interval is None or effect.interval[1] - effect.mean > half


def test_arms_of_different_spread_get_welch_s_error() -> None:
    arms = {"none": [50.0, 50.1, 49.9, 50.05, 49.95], "a": [41.0, 61.0, 46.0, 56.0, 51.0]}
    assert not similar_variances(arms)
    test = stats.ttest_ind(arms["a"], arms["none"], equal_var=False)
    effect = block_effects(arms, "none")["a"]
    assert effect.df == pytest.approx(test.df)
    assert effect.se == pytest.approx(abs(effect.mean / test.statistic))


def test_two_runs_a_side_bound_nothing() -> None:
    assert block_effects({"none": [1.0, 2.0], "a": [3.0, 4.5]}, "none")["a"].interval is None


@pytest.mark.parametrize(
    "arms",
    [
        {"none": [50.0], "a": [51.0]},
        {"none": [50.0, 50.0], "a": [51.0, 51.0]},
    ],
)
def test_without_spread_there_is_a_difference_and_no_interval(arms: dict[str, list[float]]) -> None:
    assert block_effects(arms, "none") == {"a": Effect(1.0)}
    assert Effect(1.0).interval is None


def test_pooling_equals_a_case_computed_by_hand() -> None:
    # equal standard errors s: tau² is the effects' variance minus s², all weights are equal, and the mean's standard
    # error is the effects' deviation over the root of their number
    pooled = pool([Effect(1.0, 1.0, 4.0), Effect(3.0, 1.0, 4.0), Effect(8.0, 1.0, 4.0)])
    assert pooled is not None
    assert pooled.mean == pytest.approx(4.0)
    assert pooled.tau == pytest.approx(math.sqrt(13 - 1), rel=1e-4)
    assert pooled.weights == pytest.approx([1 / 3] * 3)
    error = math.sqrt(13 / 3)
    assert pooled.interval == pytest.approx((4 - 4.302653 * error, 4 + 4.302653 * error), rel=1e-4)  # t, 2 df
    assert pooled.i2 == pytest.approx(1 - 2 / 26)  # Q is 26 with two degrees of freedom
    far = 12.706205 * math.sqrt(12 + 13 / 3)  # t, 1 df
    assert pooled.prediction == pytest.approx((4 - far, 4 + far), rel=1e-4)


def test_effects_that_agree_by_chance_do_not_narrow_the_interval() -> None:
    pooled = pool([Effect(2.0, 1.0, 4.0), Effect(2.0, 1.0, 4.0)])
    assert pooled is not None
    assert pooled.mean == pytest.approx(2.0)
    assert (pooled.tau, pooled.i2, pooled.prediction) == (0.0, 0.0, None)
    half = 12.706205 * math.sqrt(1 / 2)  # without Röver's correction it would be 0
    assert pooled.interval == pytest.approx((2 - half, 2 + half), rel=1e-5)


def test_unequal_errors_weigh_by_their_precision() -> None:
    pooled = pool([Effect(0.0, 1.0, 4.0), Effect(1.0, 2.0, 4.0)])
    assert pooled is not None and pooled.tau == 0.0
    assert pooled.weights == pytest.approx((0.8, 0.2))
    assert pooled.mean == pytest.approx(0.2)


def test_a_single_block_is_not_pooled_nor_is_one_without_an_error() -> None:
    known = Effect(1.0, 0.5, 4.0)
    assert pool([]) is None and pool([known]) is None and pool([known, Effect(3.0)]) is None
    assert pool([known, Effect(3.0), known]) == pool([known, known])


@given(EFFECTS, st.randoms(use_true_random=False))
def test_the_order_of_blocks_does_not_matter(effects: list[Effect], generator: random.Random) -> None:
    shuffled = generator.sample(effects, len(effects))
    first, second = pool(effects), pool(shuffled)
    assert first is not None and second is not None
    assert second.mean == pytest.approx(first.mean, abs=1e-6)
    assert second.interval == pytest.approx(first.interval, abs=1e-5)


@given(EFFECTS, st.integers(-20, 20))
def test_a_shift_of_all_effects_shifts_the_mean(effects: list[Effect], shift: int) -> None:
    first = pool(effects)
    second = pool([Effect(effect.mean + shift, effect.se, effect.df) for effect in effects])
    assert first is not None and second is not None
    assert second.mean - shift == pytest.approx(first.mean, abs=1e-4)
    assert second.tau == pytest.approx(first.tau, abs=1e-3)


@given(VALUES, VALUES, VALUES, st.integers(-50, 50))
def test_a_shift_of_a_block_s_values_changes_no_difference(
    plain: list[float], first: list[float], second: list[float], shift: int
) -> None:
    arms = {"none": plain, "a": first, "b": second}
    moved = {name: [value + shift for value in values] for name, values in arms.items()}
    before, after = block_effects(arms, "none"), block_effects(moved, "none")
    for name, effect in before.items():
        assert after[name].mean == pytest.approx(effect.mean)
        assert after[name].se == (None if effect.se is None else pytest.approx(effect.se))
