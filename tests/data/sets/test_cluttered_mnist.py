"""Cluttered MNIST against its description, one image and one pixel at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.sets import cluttered
from attnbench.data.sets.cluttered import Layout, Scene, draw_layout, generate
from attnbench.data.sets.cluttered_mnist import ClutteredMNIST, even_order
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import SPLITS, Split
from attnbench.errors import UserError

SMALL = ("data=cluttered_mnist", "data.train_images=90", "data.validation=30", "data.test_images=40")


def make(root: Path | str, *overrides: str) -> ClutteredMNIST:
    data = build_data(compose([*SMALL, f"data.root={root}", *overrides]))
    assert isinstance(data, ClutteredMNIST)
    return data


def by_hand(digits: np.ndarray, scene: Scene, layout: Layout, index: int) -> np.ndarray:
    """One image, pixel by pixel, in whole grey levels: fragments, then the digit, never above 255."""
    image = [[0] * scene.canvas for _ in range(scene.canvas)]

    def paste(digit: int, cut: tuple[int, int], put: tuple[int, int], size: int) -> None:
        for row in range(size):
            for column in range(size):
                light = int(digits[digit, cut[0] + row, cut[1] + column])
                at = (put[0] + row, put[1] + column)
                image[at[0]][at[1]] = min(255, image[at[0]][at[1]] + light)

    for digit, *places in layout.fragments[:, index].tolist():
        paste(digit, (places[0], places[1]), (places[2], places[3]), scene.distractor_size)
    digit, row, column = layout.digits[index].tolist()
    paste(digit, (0, 0), (row, column), scene.digit_size)
    return np.asarray(image)


def test_images_are_drawn_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    pixels = generator.integers(0, 256, (12, 28, 28, 1)).astype(np.uint8)
    digits, scene = Arrays(pixels, np.arange(12, dtype=np.int64) % 10), Scene(40, 28, 8, 8)
    monkeypatch.setattr(cluttered, "CHUNK", 5)  # 3 chunks, the last one not full
    found = generate(digits, scene, 14, np.random.default_rng(7), even_order)
    layout = draw_layout(digits.labels, scene, 14, np.random.default_rng(7), even_order)
    assert found.boxes is not None
    for index, (chosen, row, column) in enumerate(layout.digits.tolist()):
        assert np.array_equal(found.images[index, ..., 0], by_hand(pixels[..., 0], scene, layout, index))
        assert found.labels[index] == chosen % 10
        assert found.boxes[index].tolist() == [column, row, column + 28, row + 28]


def test_places_are_uniform_over_all_that_fit() -> None:
    layout = draw_layout(np.zeros(30, np.int64), Scene(40, 28, 8, 8), 4000, np.random.default_rng(0), even_order)
    picked, cut_row, cut_column, row, column = layout.fragments.reshape(-1, 5).T
    drawn = {30: [picked], 21: [cut_row, cut_column], 33: [row, column], 13: [*layout.digits[:, 1:].T]}
    for places, columns in drawn.items():
        for values in columns:
            counts = np.bincount(values, minlength=places)
            expected = len(values) / places
            assert len(counts) == places
            assert abs(counts - expected).max() < 5 * expected**0.5


@pytest.mark.parametrize(("digits", "count"), [(7, 28), (7, 30), (7, 3), (7, 0)])
def test_each_digit_is_used_equally_often(digits: int, count: int) -> None:
    order = even_order(np.zeros(digits, np.int64), count, np.random.default_rng(0))
    uses = np.bincount(order, minlength=digits)
    assert uses.sum() == count
    assert uses.max() - uses.min() == (count % digits > 0)
    if count > digits:
        assert order[:digits].tolist() != order[digits : 2 * digits].tolist()


def test_splits_are_made_of_different_digits(miniature_mnist: Path) -> None:
    data = make(miniature_mnist)
    whole = data.digits(train=True).images
    assert np.array_equal(data.sources("train").images, whole[:100])  # five sixths, in the files' order
    assert np.array_equal(data.sources("validation").images, whole[100:])
    assert np.array_equal(data.sources("test").images, data.digits(train=False).images)
    assert len(make(miniature_mnist, "data.validation=0").sources("train")) == 100


@pytest.mark.usefixtures("own_cache_here")
def test_shapes_and_numbers(miniature_mnist: Path) -> None:
    data = make(miniature_mnist)
    for split, count in zip(SPLITS, (60, 30, 40), strict=True):
        arrays = data.load(split)
        assert arrays.images.shape == (count, 40, 40, 1)
        assert arrays.images.dtype == np.uint8
        assert arrays.labels.shape == (count,)
    assert (data.mean, data.std) == ((0.0,), (1.0,))


@pytest.fixture
def own_cache_here(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    return own_folder / "cache"


def cached(folder: Path) -> dict[str, int]:
    return {path.name.split("-")[1]: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_generated_once(miniature_mnist: Path, own_cache_here: Path) -> None:
    first = {split: make(miniature_mnist).load(split).images for split in SPLITS}
    written = cached(own_cache_here)
    assert written.keys() == set(SPLITS)
    for split in SPLITS:
        assert np.array_equal(make(miniature_mnist).load(split).images, first[split])
    assert cached(own_cache_here) == written
    assert not np.array_equal(make(miniature_mnist, "data.generator_seed=1").load("test").images, first["test"])


def test_a_split_depends_on_no_other(miniature_mnist: Path, own_cache_here: Path) -> None:
    """The sizes of other splits make no new images, so a split is not generated again for them."""
    whole = make(miniature_mnist)
    other = make(miniature_mnist, "data.train_images=60", "data.validation=0", "data.test_images=20")
    assert np.array_equal(other.load("train").images, whole.load("train").images)
    assert len(list(own_cache_here.glob("*.npz"))) == 1


def test_a_damaged_cache_is_made_again(miniature_mnist: Path, own_cache_here: Path) -> None:
    first = make(miniature_mnist).load("test")
    (file,) = own_cache_here.glob("*.npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        again = make(miniature_mnist).load("test")
    assert np.array_equal(again.images, first.images)


@pytest.mark.usefixtures("own_cache_here")
def test_more_distractors_in_the_same_number_of_test_images(miniature_mnist: Path) -> None:
    """Under either clutter each of the 50 test digits is shown once."""
    few, many = (
        make(miniature_mnist, "data.test_images=50", f"data.distractors={count}").load("test") for count in (0, 64)
    )
    assert few.boxes is not None
    left, top, right, bottom = few.boxes[0].astype(int)
    outside = few.images[0].sum() - few.images[0, top:bottom, left:right].sum()
    assert outside == 0
    assert (many.images > 0).mean() > (few.images > 0).mean() + 0.1
    assert np.bincount(many.labels).tolist() == np.bincount(few.labels).tolist() == [5] * 10


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("data.canvas=27", "data.canvas"),
        ("data.distractors=-1", "data.distractors"),
        ("data.distractor_size=29", "data.distractor_size"),
        ("data.distractor_size=0", "data.distractor_size"),
        ("data.train_images=0", "data.train_images"),
        ("data.validation=90", "data.validation"),
        ("data.test_images=0", "data.test_images"),
    ],
)
def test_options_out_of_range_are_named(override: str, key: str) -> None:
    with pytest.raises(UserError, match=key):
        make("nowhere", override)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache_here")
def test_the_real_set(real_data: str) -> None:
    """The whole set: each digit four times in training and ten times in the others, none in two splits."""
    used: dict[Split, np.ndarray] = {}
    whole: Any = build_data(compose(["data=cluttered_mnist", f"data.root={real_data}"]))
    sizes: dict[Split, tuple[int, int]] = {"train": (200_000, 4), "validation": (100_000, 10), "test": (100_000, 10)}
    assert {split: whole.count(split) for split in SPLITS} == {split: count for split, (count, _) in sizes.items()}
    for index, split in enumerate(SPLITS):
        sources = whole.sources(split)
        layout = draw_layout(
            sources.labels, whole.scene, whole.count(split), np.random.default_rng([0, index]), whole.order
        )
        used[split] = np.bincount(layout.digits[:, 0])
        assert set(used[split]) == {sizes[split][1]}
    pictures = {split: {image.tobytes() for image in whole.sources(split).images} for split in SPLITS}
    assert [len(used[split]) for split in SPLITS] == [50_000, 10_000, 10_000]
    assert not pictures["train"] & pictures["validation"]
    test = whole.load("test")
    sources = whole.sources("test")
    assert np.array_equal(np.bincount(test.labels), 10 * np.bincount(sources.labels))
    assert test.boxes is not None
    left, top = test.boxes[0, :2].astype(int)
    shown = test.images[0, top : top + 28, left : left + 28]
    assert any((shown >= digit).all() for digit in sources.images[sources.labels == test.labels[0]])
