"""Held-out images: balanced, always the same, and never too many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.data.sets.digits import Digits
from attnbench.data.splits import hold_out
from attnbench.data.transforms.augmentation import Augmentation
from attnbench.errors import OptionError

OPTIONS = {"batch_size": 16, "validation": 100, "mean": [0.3], "std": [0.4]}


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), share=st.floats(0, 1))
def test_holding_out_is_balanced(labels: list[int], share: float) -> None:
    array = np.asarray(labels, dtype=np.int64)
    count = int(share * len(labels))
    held_out = hold_out(array, count)
    assert held_out.sum() == count
    sizes = [int((array[held_out] == label).sum()) for label in set(labels)]
    full = [int((array == label).sum()) for label in set(labels)]
    # a class may only have fewer than another by more than one if it has no more images
    assert all(size == whole or size >= max(sizes) - 1 for size, whole in zip(sizes, full, strict=True))


def test_holding_out_does_not_change() -> None:
    labels = np.arange(50) % 5
    assert np.flatnonzero(hold_out(labels, 7)).tolist() == np.flatnonzero(hold_out(labels, 7)).tolist()
    assert set(np.flatnonzero(hold_out(labels, 7))) <= set(np.flatnonzero(hold_out(labels, 12)))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"validation": -1}, "validation"),
        ({"validation": 1437}, "validation"),
        ({"mean": [0.1, 0.2]}, "mean"),
        ({"std": [0.0]}, "std"),
        ({"padding": -1}, "padding"),
        ({"padding": 8, "padding_mode": "reflect"}, "padding"),
        ({"padding_mode": "edge"}, "padding_mode"),
        ({"label_noise": 1.0}, "label_noise"),
        ({"label_noise": -0.1}, "label_noise"),
        ({"label_noise": float("nan")}, "label_noise"),
        ({"resampled": True}, "resampled"),
    ],
)
def test_invalid_options_are_one_line(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        Digits(**{**OPTIONS, **options})  # type: ignore[arg-type]
    assert caught.value.key == key


def test_splits_share_no_image_and_lose_none() -> None:
    data = Digits(**OPTIONS)  # type: ignore[arg-type]
    sizes = {split: len(data.load(split)) for split in ("train", "validation", "test")}
    assert sizes == {"train": 1337, "validation": 100, "test": 360}
    assert np.bincount(data.load("validation").labels).tolist() == [10] * 10


def test_augmentation_is_off_unless_asked_for() -> None:
    assert Augmentation() == Augmentation(padding=0, padding_mode="zeros", flip=False)
