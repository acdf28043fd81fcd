"""Whole groups are taken, never more than the quotas, and as many as fit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attnbench.data.splits import hold_out_groups, take_groups

CLASSES = 3


@given(
    samples=st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, 9)), max_size=40),
    quotas=st.lists(st.integers(0, 6), min_size=CLASSES, max_size=CLASSES),
)
def test_groups_stay_whole_within_quotas(samples: list[tuple[int, int]], quotas: list[int]) -> None:
    labels, groups = np.array(samples, np.int64).reshape(-1, 2).T
    taken = take_groups(labels, groups, np.array(quotas))
    sides = {group: set(taken[groups == group].tolist()) for group in groups.tolist()}
    assert all(len(side) == 1 for side in sides.values())
    found = np.bincount(labels[taken], minlength=CLASSES)
    assert (found <= quotas).all()
    for group, side in sides.items():  # whatever was left would have gone beyond a quota
        more = np.bincount(labels[groups == group], minlength=CLASSES)
        assert side == {True} or (found + more > quotas).any()


def test_groups_of_one_fill_the_quotas() -> None:
    labels = np.arange(60) % CLASSES
    taken = take_groups(labels, np.arange(60), np.array([5, 0, 20]))
    assert np.bincount(labels[taken], minlength=CLASSES).tolist() == [5, 0, 20]
    assert (taken == take_groups(labels, np.arange(60), np.array([5, 0, 20]))).all()


def test_held_out_groups_are_balanced() -> None:
    labels, groups = np.arange(90) % CLASSES, np.arange(90) // 3  # a group has one sample of each class
    held_out = hold_out_groups(labels, groups, 31)
    assert np.bincount(labels[held_out]).tolist() == [10, 10, 10]  # 31 do not divide into groups
    assert len(set(groups[held_out]) & set(groups[~held_out])) == 0


def test_nothing_is_divided_into_nothing() -> None:
    empty = np.empty(0, np.int64)
    assert take_groups(empty, empty, np.zeros(CLASSES, np.int64)).tolist() == []
    assert not hold_out_groups(np.arange(4) % 2, np.arange(4), 0).any()


def test_classes_that_never_come_alone_are_taken_too() -> None:
    # forty groups of class 0 alone, and ten with a sample of each of both classes
    labels = np.array([0] * 40 + [0, 1] * 10)
    groups = np.concatenate([np.arange(40), 40 + np.arange(20) // 2])
    assert np.bincount(labels[take_groups(labels, groups, np.array([6, 4]))]).tolist() == [6, 4]
