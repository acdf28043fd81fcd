"""What is held out for validation leaves every class some training images, in every kind of data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.dataset import SplitDataSet
from attnbench.data.sets.digits import Digits
from attnbench.data.sources.arrays import Arrays
from attnbench.errors import UserError
from tests.data.hub_sets import write_parquet, write_saved
from tests.data.layouts import write_adience, write_food101, write_text
from tests.data.packs import packed_set, write_shards
from tests.data.pictures import folder_set, write_folder
from tests.data.published_sets import released

SPLITS = ("train", "test")


@pytest.fixture
def folder(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven training images each of ant and cat, and one of bee."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    root = write_folder(own_folder / "folder", splits=SPLITS)
    for path in sorted((root / "train" / "bee").iterdir())[1:]:
        path.unlink()
    return root


def food101(own_folder: Path) -> Path:
    """The miniature with a single training image of gyoza."""
    home = write_food101(own_folder)
    write_text(home / "meta" / "train.txt", ["apple_pie/100", "apple_pie/101", "apple_pie/102", "gyoza/100",
                                             "pho/100", "pho/101", "pho/102"])  # fmt: skip
    for number in (101, 102):
        (home / "images" / "gyoza" / f"{number}.jpg").unlink()
    return home


MAKERS: dict[str, Callable[..., Any]] = {
    "image_folder": lambda folder, root, *more: folder_set(folder, *more),
    "shards": lambda folder, root, *more: packed_set("shards", write_shards(folder, root, SPLITS), *more),
    "parquet": lambda folder, root, *more: packed_set("hub", write_parquet(folder, root, SPLITS), *more),
    "arrow": lambda folder, root, *more: packed_set("hub", write_saved(folder, root, SPLITS), *more),
    "food101": lambda folder, root, *more: released("food101", food101(root).parent, *more),
}
RARE = {"shards": "1", "food101": "gyoza"}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_class_without_training_images_is_one_line(kind: str, folder: Path, own_folder: Path) -> None:
    data = MAKERS[kind](folder, own_folder / "set", "data.validation=3")
    with pytest.raises(UserError) as caught:
        data.check_available()
    left = f"no training image is left of {RARE.get(kind, 'bee')}; hold out fewer"
    assert str(caught.value) == f"data={data.name}: data.validation=3: {left}"


@pytest.mark.parametrize("kind", MAKERS)
def test_what_leaves_every_class_an_image_is_held_out_as_ever(kind: str, folder: Path, own_folder: Path) -> None:
    data = MAKERS[kind](folder, own_folder / "set", "data.validation=1")
    data.check_available()
    assert data.listed("train").labels[data.members("validation")[1]].tolist() == [0]


def test_training_is_refused_before_anything_is_written(
    folder: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["data=shards", f"data.root={write_shards(folder, own_folder / 'set', SPLITS)}", "data.validation=3"]
    assert main(["train", *options, f"output={own_folder / 'out'}"]) == 2
    assert capsys.readouterr().err.endswith("data.validation=3: no training image is left of 1; hold out fewer\n")
    assert not (own_folder / "out").exists()


def test_groups_that_are_too_large_to_be_held_out_are_named(own_folder: Path) -> None:
    """Each person of the miniature has faces of every age."""
    data = released("adience", write_adience(own_folder).parent, "data.validation=1")
    with pytest.raises(UserError, match=r"data\.validation=1: holds out none of the images in .*: every group of"):
        data.check_available()


def test_classes_that_are_on_no_disk_are_not_missed(folder: Path, own_folder: Path) -> None:
    """Files of the hub may name classes of which there is no image."""
    for path in (folder / "train" / "bee").iterdir():
        path.unlink()
    data = packed_set("hub", write_parquet(folder, own_folder / "set", SPLITS), "data.validation=3")
    data.check_available()
    assert data.classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("overrides", "classes"),
    [
        (("data=digits", "data.validation=1379"), "8"),
        (("data=mnist", "data.validation=54206"), "5"),
        (("data=cifar10", "data.validation=49995"), "airplane, automobile, bird and 2 more"),
        (("data=cifar10", "data.train_images=25", "data.validation=16"), "dog"),
        (("data=cifar100", "data.train_images=200", "data.validation=150"), "apple, aquarium_fish, baby and 47 more"),
    ],
)
def test_sets_in_memory_are_refused_before_they_are_read(overrides: tuple[str, ...], classes: str) -> None:
    with pytest.raises(UserError) as caught:
        build_data(compose(overrides))
    assert str(caught.value) == f"{overrides[-1]}: leaves no training image of {classes}; hold out fewer"


@pytest.mark.parametrize(
    "overrides",
    [
        ("data=digits", "data.validation=1378"),
        ("data=mnist", "data.validation=54205"),
        ("data=cifar10", "data.validation=49990"),
        ("data=cifar10", "data.train_images=25", "data.validation=15"),
        ("data=cifar100", "data.train_images=50", "data.validation=0"),
    ],
)
def test_sets_in_memory_may_hold_out_all_but_one_of_a_class(overrides: tuple[str, ...]) -> None:
    assert build_data(compose(overrides)).validation >= 0


def test_the_known_numbers_of_images_are_those_of_the_files() -> None:
    data: Any = build_data(compose(["data=digits", "data.validation=0"]))
    assert np.bincount(data.load("train").labels).tolist() == list(Digits.class_counts)


class Own(SplitDataSet):
    """A user's set, whose class 1 has one image."""

    classes, image_size, channels, train_images = ("a", "b"), 8, 1, 6

    def fingerprint(self) -> str:
        return "own"

    def read(self, train: bool) -> Arrays:
        return Arrays(np.zeros((6, 8, 8, 1), np.uint8), np.array([0, 0, 0, 1, 0, 0]))


def test_a_users_set_in_memory_is_refused_when_it_is_read() -> None:
    assert np.bincount(Own(2, 1, [0.5], [0.5]).load("train").labels).tolist() == [4, 1]
    with pytest.raises(UserError, match=r"^data\.validation=2: leaves no training image of b; hold out fewer$"):
        Own(2, 2, [0.5], [0.5]).load("train")
