"""A run that was killed continues, and ends as if nothing had happened: bit-equal, nothing repeated, nothing left."""

import random

import pytest

from tests.faults.campaign import Campaign, Counts


def inject(campaign: Campaign, action: str, count: int) -> None:
    """Inject a fault at so many operations, drawn with a fixed seed."""
    counts, generator = Counts(), random.Random(action)
    for number in campaign.draw(count, generator):
        campaign.inject(f"{action} {number}", counts)
    check(counts, count)


def check(counts: Counts, injected: int) -> None:
    assert not counts.problems, "\n".join([str(counts), *counts.problems])
    assert counts.injected >= injected * 0.9  # a command may take a few operations fewer than the undisturbed one


def test_a_killed_run_is_resumed(single: Campaign) -> None:
    inject(single, "kill", 2)


@pytest.mark.slow
def test_a_run_killed_at_any_operation_is_resumed(single: Campaign) -> None:
    inject(single, "kill", len(single.operations))


@pytest.mark.slow
def test_a_run_killed_while_it_fills_a_cache_is_resumed(folder: Campaign) -> None:
    inject(folder, "kill", 16)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["kill", "kill-all"])
def test_a_sweep_killed_at_an_operation_is_resumed(action: str, sweep: Campaign) -> None:
    inject(sweep, action, 8)


@pytest.mark.slow
def test_a_run_killed_at_a_random_time_is_resumed(single: Campaign) -> None:
    counts, generator = Counts(), random.Random(0)
    for _ in range(8):
        single.kill_after(generator.uniform(0, 2), everything=True, counts=counts)
    check(counts, 8)


@pytest.mark.slow
@pytest.mark.parametrize("everything", [True, False], ids=["all processes", "the scheduler"])
def test_a_sweep_killed_at_a_random_time_is_resumed(everything: bool, sweep: Campaign) -> None:
    counts, generator = Counts(), random.Random(0)
    for _ in range(4):
        sweep.kill_after(generator.uniform(1, 8), everything, counts)
    check(counts, 4)


@pytest.mark.slow
def test_of_two_launchers_one_trains(single: Campaign, sweep: Campaign) -> None:
    counts = Counts()
    for seconds in (0, 0.1, 0.3, 1):
        single.run_twice_at_once(seconds, counts)
    sweep.run_twice_at_once(1, counts)
    check(counts, 5)


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 15, 1], ids=["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_run_that_is_asked_to_stop_at_an_operation_is_resumed(number: int, single: Campaign) -> None:
    inject(single, str(number), 12)


@pytest.mark.slow
def test_a_run_whose_disk_is_full_says_so_and_is_resumed(single: Campaign) -> None:
    inject(single, "full", 16)
