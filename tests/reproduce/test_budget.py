"""Budgets as they are typed, and the wall time of runs side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.errors import UserError
from attnbench.reproduce.budget import Costs, PlannedRun, parse_budget


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400), ("1h0m1s", 3601), (" 2h ", 7200)],
)
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["2x", "", "2", "h", "0h", "-2h", "30m1h", "2h 30m", "1e3h", "infh", "nan"])
def test_anything_else_is_rejected_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="must be a time above 0 such as 90m, 2h or 1h30m") as caught:
        parse_budget(text)
    assert str(caught.value).startswith(f"--budget {text}: ")
    assert "\n" not in str(caught.value)


def test_a_round_takes_as_long_as_its_busiest_slot() -> None:
    runs = [PlannedRun("long", 0), PlannedRun("short", 0), PlannedRun("short", 1), PlannedRun("short", 2)]
    seconds = {"long": 50.0, "short": 20.0}
    assert Costs(seconds).together(runs) == 110
    assert Costs(seconds, slots=2).together(runs) == 60  # 50 beside 20 + 20, then 20 after the latter
    assert Costs(seconds, slots=9, overhead=5.0).together(runs) == 55
    assert Costs(seconds, 1, {PlannedRun("long", 0): 10.0}).together(runs) == 70  # begun: 10 seconds are left
    assert Costs(seconds, overhead=5.0).together([]) == 0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=12), st.integers(1, 5))
def test_slots_never_take_longer_than_one_and_never_less_than_their_share(seconds: list[float], slots: int) -> None:
    runs = [PlannedRun(str(number), 0) for number in range(len(seconds))]
    costs = Costs({str(number): value for number, value in enumerate(seconds)}, slots)
    total = sum(seconds)
    assert max(max(seconds), total / slots) <= costs.together(runs) * (1 + 1e-9)
    assert costs.together(runs) <= total * (1 + 1e-9)
