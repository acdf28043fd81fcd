"""Published sets in miniature: what is read, where it may be, and when it is read again."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.sets.flowers102 import NAMES
from attnbench.data.sources import label_files as labels
from attnbench.errors import UserError
from tests.data.layouts import BREEDS, DISHES, WNIDS
from tests.data.published_sets import paths, released, write

FOLDERS = {
    "tiny_imagenet": ("tiny-imagenet-200", 200),
    "food101": ("food-101", 101),
    "flowers102": ("flowers-102", 102),
    "pets": ("oxford-iiit-pet", 37),
    "uecfood100": ("UECFOOD100", 100),
    "adience": ("adience", 8),
}
"""The folder of each set, and how many classes the whole of it has."""


@pytest.mark.parametrize(("name", "expected"), FOLDERS.items())
def test_a_missing_set_says_what_where_and_how(
    name: str, expected: tuple[str, int], own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"data={name}", "data.root=nowhere"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for part in (f"data={name}: no {expected[0]} in", str(own_folder / "nowhere"), "set data.root to the folder"):
        assert part in said
    assert build_data(compose([f"data={name}", "data.root=nowhere"])).num_classes == expected[1]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_root_may_be_the_sets_own_folder(name: str, own_folder: Path) -> None:
    home = write(name, own_folder)
    below, itself = released(name, own_folder), released(name, home)
    for data in (below, itself):
        data.check_available()
    assert below.fingerprint() == itself.fingerprint()
    moved = home.rename(own_folder / "renamed")
    assert released(name, moved).fingerprint() == below.fingerprint()


@pytest.mark.parametrize("name", FOLDERS)
def test_every_image_is_read(name: str, own_folder: Path) -> None:
    write(name, own_folder)
    data = released(name, own_folder)
    for split in data.splits:
        arrays = data.load(split)
        assert len(arrays) == len(data.listed(split)) > 0
        assert arrays.images.shape[1:] == (16, 16, 3)
        assert set(arrays.labels.tolist()) <= set(range(data.num_classes))


def test_tiny_imagenet(own_folder: Path) -> None:
    write("tiny_imagenet", own_folder)
    data = released("tiny_imagenet", own_folder)
    train, test = data.files("train"), data.files("test")
    assert data.classes == tuple(sorted(WNIDS))
    assert paths(train) == [f"train/{n}/images/{n}_{i}.JPEG" for n in ("n01", "n02", "n03") for i in range(4)]
    assert train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert train.boxes.tolist() == [[number, 10, 64, 59] for number in range(4)] * 3  # the last pixels are included
    assert paths(test) == [f"val/images/val_{number}.JPEG" for number in range(6)]
    assert test.labels.tolist() == [2, 0, 1, 2, 0, 1]
    assert test.boxes[5].tolist() == [5, 32, 45, 63]


def test_food101(own_folder: Path) -> None:
    write("food101", own_folder)
    data = released("food101", own_folder)
    assert data.classes == DISHES
    assert paths(data.files("train"))[:4] == [f"images/{n}.jpg" for n in ("apple_pie/101", "apple_pie/100",
                                                                          "apple_pie/102", "gyoza/101")]  # fmt: skip
    assert data.files("train").labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert data.files("test").labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_flowers102(own_folder: Path) -> None:
    write("flowers102", own_folder)
    data = released("flowers102", own_folder)
    assert data.classes == NAMES == tuple(datasets.Flowers102.classes)
    assert data.splits == ("train", "validation", "test")
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        files = data.files(split)
        reference = expected_flowers(own_folder, name)
        assert list(zip(paths(files), files.labels.tolist(), strict=True)) == reference
    whole = released("flowers102", own_folder, "data.train_on=trainval", "data.validation=2")
    assert paths(whole.files("train")) == paths(data.files("train")) + paths(data.files("validation"))
    sizes = {split: len(whole.members(split)[1]) for split in whole.splits}
    assert sizes == {"train": 5, "validation": 2, "test": 3}
    with pytest.raises(UserError, match="has its own 3 validation images; set it to 0"):
        released("flowers102", own_folder, "data.validation=2").check_available()


def expected_flowers(root: Path, split: str) -> list[tuple[str, int]]:
    """What torchvision's own reader makes of the same files."""
    reader = object.__new__(datasets.Flowers102)
    check = datasets.Flowers102._check_integrity
    try:
        datasets.Flowers102._check_integrity = lambda self: True  # its checksums are the original's
        reader.__init__(str(root), split=split)
    finally:
        datasets.Flowers102._check_integrity = check
    found = zip(reader._image_files, reader._labels, strict=True)
    return [(f"jpg/{Path(path).name}", int(label)) for path, label in found]


def test_pets(own_folder: Path) -> None:
    write("pets", own_folder)
    data = released("pets", own_folder)
    assert data.classes == tuple(BREEDS)
    for split, name in (("train", "trainval"), ("test", "test")):
        reference = datasets.OxfordIIITPet(str(own_folder), split=name)
        assert paths(data.files(split)) == [f"images/{path.name}" for path in reference._images]
        assert data.files(split).labels.tolist() == reference._labels
    boxes = data.files("train").boxes
    assert boxes[[0, 2]].tolist() == [[0, 2, 14, 12], [1, 2, 14, 12]]  # pixels count from 1 there
    assert np.isnan(boxes[1]).all()
    assert data.files("test").boxes is None
    seen = data.load("train").boxes
    assert np.isnan(seen).all(axis=1).tolist() == [False, True, False] * 3


def test_a_part_of_a_set_has_its_own_classes(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("food101", own_folder)
    assert released("food101", own_folder).num_classes == 3
    assert main(["cost", "data=food101", f"data.root={own_folder}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 3
    assert main(["cost", "data=food101", "data.root=nowhere"]) == 0
    assert "3x224x224, 101 classes" in capsys.readouterr().out


FURTHER = {
    "tiny_imagenet": ("train/n02/n02_boxes.txt", "n02_0.JPEG\t0", "n02_0.JPEG\t5"),
    "uecfood100": ("17/bb_info.txt", "100 5", "100 6"),
}
"""A label file besides those that must be there, and a change to it."""


@pytest.mark.parametrize("name", FURTHER)
def test_label_files_are_read_again_when_any_of_them_changes(
    name: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "SETTLED_NS", -1)  # also cache files that were just written
    home, (file, old, new) = write(name, own_folder), FURTHER[name]
    data = released(name, own_folder)
    assert released(name, own_folder).labelled_splits is data.labelled_splits
    content = (home / file).read_text()
    assert old in content
    (home / file).write_text(content.replace(old, new))
    os.utime(home / file, (1, 1))
    assert released(name, own_folder).fingerprint() != data.fingerprint()


def test_the_cache_of_label_files_distinguishes_options(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "SETTLED_NS", -1)
    write("adience", own_folder)
    options = ((), ("data.fold=1",), ("data.task=gender",), ("data.faces=faces",))
    assert len({released("adience", own_folder, *chosen).fingerprint() for chosen in options}) == 4
    write("flowers102", own_folder)
    trained = [
        len(released("flowers102", own_folder, f"data.train_on={on}").files("train")) for on in ("train", "trainval")
    ]
    assert trained == [4, 7]


def test_a_part_in_another_folder_is_ignored(own_folder: Path) -> None:
    home = write("tiny_imagenet", own_folder)
    (home / "val" / "images").rename(home / "images")
    with pytest.raises(UserError, match="no val/images in"):
        released("tiny_imagenet", own_folder).check_available()
