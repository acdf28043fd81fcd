"""Whole groups are taken, never more than the quotas, and as many as fit. A user's own splits may share groups."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.data.sources.left_out import warn_once
from attnbench.data.splits import hold_out_groups, take_groups
from attnbench.errors import UserError
from tests.data.pictures import folder_set, write_folder

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


@pytest.fixture
def root(own_folder: Path) -> Path:
    """Images in split folders, and a table of them: image 0 of each class is of patient p0, and so on."""
    warn_once.cache_clear()
    root = write_folder(own_folder / "set", splits=("train", "test"))
    images = sorted(path.relative_to(root) for path in root.rglob("image*"))
    rows = [f"{path.as_posix()},{path.parts[1]},{path.parts[0]},p{path.stem[-1]}" for path in images]
    (root / "labels.csv").write_text("\n".join(["file,label,split,patient", *rows]))
    return root


@pytest.mark.parametrize("option", ["data.labels=labels.csv data.group=patient", r"data.group='image(\d)'"])
def test_groups_in_several_splits_of_the_users_own_are_named(
    option: str, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_set(root, *option.split(), "data.validation=6").check_available()
    (message,) = (line for line in caplog.messages if "share groups" in line)
    group, names = ("patient", "p0, p1, p2") if "patient" in option else (r"image(\d)", "0, 1, 2")
    assert message == f"data=image_folder: splits in {root} share groups of data.group={group}: {names}"


def test_splits_without_common_groups_pass_in_silence(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for options in (("data.group='^(.*)/image'",), ("data.group='(.*)'", "data.validation=6")):
        folder_set(root, *options).check_available()
    assert "share groups" not in caplog.text


def test_a_misspelt_group_is_refused_where_nothing_is_held_out(root: Path) -> None:
    for options in (("data.labels=labels.csv", "data.group=pateint"), ("data.group=pateint",)):
        with pytest.raises(UserError, match=r"data\.group=pateint: is n.* in "):
            folder_set(root, *options).check_available()
