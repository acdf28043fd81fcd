"""Holm's procedure against statsmodels and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from attnbench.tables.verdicts.holm import Holm

pytestmark = pytest.mark.usefixtures("cheap_collection")

P_VALUES = st.sampled_from([0.0, 1e-4, 0.004, 0.01, 0.0125, 0.02, 0.025, 0.04, 0.05, 0.3, 1.0])


def test_factors_by_hand() -> None:
    # 4 * 0.001 and 3 * 0.015 are at most 0.05, 2 * 0.03 is not: two hypotheses are open at the end.
    ps = (0.03, 0.001, 0.015, 0.5)
    assert [Holm(ps, 0.05).factor(p) for p in ps] == [2, 4, 3, 2]
    assert Holm([0.01, 0.01], 0.05).factor(0.01) == 2
    assert Holm([], 0.05).open_at_end == 1


def test_an_adjusted_p_value_is_never_below_that_of_an_earlier_hypothesis() -> None:
    # 3 * 0.01 is needed before the second is tested at all, although 2 * 0.011 would be less.
    ps = (0.01, 0.011, 0.5)
    assert [Holm(ps, 0.05).adjusted(p, p) for p in ps] == pytest.approx([0.03, 0.03, 0.5])


def test_a_comparison_is_decided_at_the_level_of_its_hypothesis() -> None:
    # A part with p = 0.001 of the last claim: at the level 0.003 all three are open, at 0.03 one fewer.
    holm = Holm((0.01, 0.011, 0.5), 0.05)
    assert holm.adjusted(0.001, 0.5) == pytest.approx(0.003)
    assert holm.adjusted(0.012, 0.5) == pytest.approx(0.03)
    assert holm.adjusted(0.04, 0.5) == pytest.approx(0.04)


@given(st.lists(P_VALUES, min_size=1))
def test_it_rejects_what_statsmodels_rejects_with_the_same_adjusted_p_values(ps: list[float]) -> None:
    rejected, adjusted, *_ = multipletests(ps, alpha=0.05, method="holm")
    holm = Holm(ps, 0.05)
    assert [p <= 0.05 / holm.factor(p) for p in ps] == list(rejected)
    assert [holm.adjusted(p, p) for p in ps] == pytest.approx(list(adjusted))
