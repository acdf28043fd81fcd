"""Published sets in their authors' layouts: what is read from them, and what is said where they do not fit."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.sets.flowers102 import NAMES
from attnbench.data.sources import label_files as labels
from attnbench.data.sources.image_files import ImageFiles
from attnbench.errors import UserError
from tests.data import layouts
from tests.data.layouts import BREEDS, DISHES, FLOWERS, WNIDS, write_images, write_mat, write_text

SMALL = ("data.image_size=16", "data.resize=16", "data.batch_size=4", "data.workers=0", "data.validation=0")
FOLDERS = {
    "tiny_imagenet": ("tiny-imagenet-200", 200),
    "food101": ("food-101", 101),
    "flowers102": ("flowers-102", 102),
    "pets": ("oxford-iiit-pet", 37),
    "uecfood100": ("UECFOOD100", 100),
    "adience": ("adience", 8),
}
"""The folder of each set, and how many classes the whole of it has."""


def released(name: str, root: Path, *overrides: str) -> Any:
    """A set at `root`, with small settings."""
    return build_data(compose([f"data={name}", f"data.root={root}", *SMALL, *overrides]))


def write(name: str, root: Path) -> Path:
    """The miniature of a set; returns its folder."""
    home: Path = getattr(layouts, f"write_{name}")(root)
    return home


def paths(files: ImageFiles) -> list[str]:
    return [os.fsdecode(path) for path in files.paths]


@pytest.mark.parametrize(("name", "expected"), FOLDERS.items())
def test_an_absent_set_says_what_where_and_how(
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
    whole.check_available()
    assert paths(whole.files("train")) == paths(data.files("train")) + paths(data.files("validation"))
    sizes = {split: len(whole.members(split)[1]) for split in whole.splits}
    assert sizes == {"train": 5, "validation": 2, "test": 3}
    with pytest.raises(UserError, match="has 3 validation images of its own; leave it at 0"):
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
def test_what_is_remembered_ends_when_any_label_file_changes(
    name: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "SETTLED_NS", -1)  # also cache files that were just written
    home, (file, old, new) = write(name, own_folder), FURTHER[name]
    data = released(name, own_folder)
    assert released(name, own_folder).labelled is data.labelled_splits
    content = (home / file).read_text()
    assert old in content
    (home / file).write_text(content.replace(old, new))
    os.utime(home / file, (1, 1))
    assert released(name, own_folder).fingerprint() != data.fingerprint()


def test_what_is_remembered_is_told_apart_by_options(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "SETTLED_NS", -1)
    write("adience", own_folder)
    options = ((), ("data.fold=1",), ("data.task=gender",), ("data.faces=faces",))
    assert len({released("adience", own_folder, *chosen).fingerprint() for chosen in options}) == 4
    write("flowers102", own_folder)
    trained = [
        len(released("flowers102", own_folder, f"data.train_on={on}").files("train")) for on in ("train", "trainval")
    ]
    assert trained == [4, 7]


def test_a_part_in_another_place_does_not_count(own_folder: Path) -> None:
    home = write("tiny_imagenet", own_folder)
    (home / "val" / "images").rename(home / "images")
    with pytest.raises(UserError, match="no val/images in"):
        released("tiny_imagenet", own_folder).check_available()


Change = Callable[[Path], Any]


def without(*names: str) -> Change:
    """Removes files or folders."""

    def change(home: Path) -> None:
        for name in names:
            shutil.rmtree(home / name) if (home / name).is_dir() else (home / name).unlink()

    return change


def text(file: str, *lines: str, keep: int = 0) -> Change:
    """Writes a text file anew, after the first lines that it has."""
    return lambda home: write_text(home / file, [*(home / file).read_text().splitlines()[:keep], *lines])


def image(*names: str) -> Change:
    """Adds images."""
    return lambda home: write_images(home, names)


def mat(file: str, **variables: tuple[int, ...]) -> Change:
    """Writes a MATLAB file anew."""
    return lambda home: write_mat(home / file, variables)


VAL, TRAIN = "val/val_annotations.txt", "train/n01/n01_boxes.txt"
LACKS, UNNAMED, TWICE = (
    "lacks images that label files list",
    "has images that no label file lists",
    "label files list images twice",
)
IDS = {"trnid": (1, 2), "valid": (3,), "tstid": (4, 5)}
MISTAKES: dict[str, dict[str, Change]] = {
    "tiny_imagenet": {
        f"no {VAL} in HOME; unpack the rest of the set there (tiny-imagenet-200.zip": without(VAL),
        "no val/images in HOME;": without("val/images"),
        "no train in HOME;": without("train"),
        "no val/val_annotations.txt, val/images in HOME;": without("val"),
        "wnids.txt: has several classes called n01": text("wnids.txt", "n01", "n01"),
        "wnids.txt: has 1 class; there must be 2 or more": text("wnids.txt", "n01"),
        "wnids.txt: cannot be read: not a text": lambda home: (home / "wnids.txt").write_bytes(b"\xff\xfe\x00"),
        f"{TRAIN}: cannot be read: No such file": without(TRAIN),
        f"{LACKS}: train/n01/images/n01_2.JPEG": without("train/n01/images/n01_2.JPEG"),
        f"{UNNAMED}: train/n01/images/x.JPEG": image("train/n01/images/x.JPEG"),
        f"{TRAIN}: must give 4 whole numbers for n01_0.JPEG": text(TRAIN, "n01_0.JPEG 0 10"),
        f"{TRAIN}: must give 4 whole numbers for n01_1.JPEG": text(TRAIN, "n01_1.JPEG 0 a 1 1", keep=3),
        f"{VAL}: has n99, which wnids.txt lacks": text(VAL, "val_0.JPEG n99 0 0 1 1"),
        f"{LACKS}: val/images/val_7.JPEG, val/images/val_8.JPEG": text(
            VAL, "val_7.JPEG n01 0 0 1 1", "val_8.JPEG n01 0 0 1 1", keep=6
        ),
        f"{UNNAMED}: val/images/val_1.JPEG, val/images/val_2.JPEG, val/images/val_3.JPEG and 2 more": text(VAL, keep=1),
    },
    "food101": {
        "no meta/test.txt in HOME; unpack": without("meta/test.txt"),
        "no images in HOME;": without("images"),
        "meta/train.txt: has pho, which classes.txt lacks": text("meta/classes.txt", "apple_pie", "gyoza"),
        f"{LACKS}: images/pho/101.jpg": without("images/pho/101.jpg"),
        f"{LACKS}: images/pho/7.jpg": without("images/pho/7.jpg"),
        f"{TWICE}: images/pho/100.jpg": text("meta/test.txt", "pho/100", keep=6),
        "meta/test.txt: has lines that are not of the form <class>/<id>: pho7": text("meta/test.txt", "pho7", keep=2),
        f"{UNNAMED}: images/pho/9.jpg": image("images/pho/9.jpg"),
    },
    "flowers102": {
        "no setid.mat in HOME;": without("setid.mat"),
        "no jpg in HOME;": without("jpg"),
        "setid.mat: cannot be read as a MATLAB file: ": lambda home: (home / "setid.mat").write_bytes(b"none" * 40),
        "setid.mat: has no variable tstid": mat("setid.mat", trnid=(1,), valid=(2,)),
        "setid.mat: its variable valid is empty": mat("setid.mat", **{**IDS, "valid": ()}),
        "setid.mat: numbers images from 0 to 5; imagelabels.mat has labels of 10": mat(
            "setid.mat", **{**IDS, "valid": (0,)}
        ),
        "setid.mat: numbers images from 1 to 11;": mat("setid.mat", **{**IDS, "tstid": (11,)}),
        f"{TWICE}: jpg/image_00002.jpg": mat("setid.mat", **{**IDS, "tstid": (4, 2)}),
        "imagelabels.mat: jpg/image_00010.jpg: class is not from 1 to 102": mat(
            "imagelabels.mat", labels=(*FLOWERS[1:], 103)
        ),
        f"{LACKS}: jpg/image_00004.jpg": without("jpg/image_00004.jpg"),
    },
    "pets": {
        "no annotations/test.txt in HOME;": without("annotations/test.txt"),
        f"{TWICE}: images/Bengal_1.jpg": text("annotations/test.txt", "Bengal_1 3 1 2", keep=6),
        "annotations/test.txt: Sphynx_1: class 3 is Bengal elsewhere": text(
            "annotations/test.txt", "Sphynx_1 3 1 2", keep=6
        ),
        "annotations/trainval.txt: has several classes called Bengal": text(
            "annotations/test.txt", "Bengal_7 9 1 1", keep=6
        ),
        "annotations/test.txt: must give 1 whole number for x_1": text("annotations/test.txt", "x_1 cat"),
        f"{LACKS}: images/Bengal_2.jpg": without("images/Bengal_2.jpg"),
        "annotations/xmls/Bengal_1.xml: cannot be read as an annotation: ": text(
            "annotations/xmls/Bengal_1.xml", "<annotation>"
        ),
        "annotations/xmls/Bengal_1.xml: must give 4 numbers for bndbox": text(
            "annotations/xmls/Bengal_1.xml",
            "<annotation><object><bndbox><xmin>1</xmin><ymin>x</ymin></bndbox></object></annotation>",
        ),
    },
    "uecfood100": {
        "no category.txt in HOME;": without("category.txt"),
        "category.txt: nothing follows 17": text("category.txt", "id name", "1 rice", "17"),
        "2/bb_info.txt: cannot be read: No such file": without("2/bb_info.txt"),
        "2/bb_info.txt: must give 4 whole numbers for 4": text("2/bb_info.txt", "4 1 2 3", keep=1),
        "2/bb_info.txt: must give 4 whole numbers for 4, 8": text(
            "2/bb_info.txt", "4 0 0 20 b", "8 0 0 20 1.5", keep=1
        ),
        f"{LACKS}: 17/105.jpg": without("17/105.jpg"),
    },
    "adience": {
        "no fold_3_data.txt in HOME;": without("fold_3_data.txt"),
        "no aligned in HOME;": without("aligned"),
        "fold_2_data.txt: has no column age, gender": text("fold_2_data.txt", "user_id\toriginal_image\tface_id"),
        "fold_2_data.txt: has lines without all columns: a\tb": text("fold_2_data.txt", "a\tb", keep=2),
        f"{LACKS}: aligned/01@N01/landmark_aligned_face.3.3_o.jpg": without(
            "aligned/01@N01/landmark_aligned_face.3.3_o.jpg"
        ),
        f"{LACKS}: aligned/41@N01/landmark_aligned_face.3.3_o.jpg": without(
            "aligned/41@N01/landmark_aligned_face.3.3_o.jpg"
        ),
    },
}


@pytest.mark.parametrize(("name", "told"), [(name, told) for name, mistakes in MISTAKES.items() for told in mistakes])
def test_mistakes_are_one_line(name: str, told: str, own_folder: Path) -> None:
    home = write(name, own_folder)
    MISTAKES[name][told](home)
    data = released(name, own_folder)
    with pytest.raises(UserError) as caught:
        data.check_available()
        data.fingerprint()
        _ = data.classes
    message = str(caught.value)
    assert message.startswith(f"data={name}: no " if "HOME" in told else f"data={name}: {home}")
    assert told.replace("HOME", str(home)) in message
    assert "\n" not in message


OPTIONS = {
    ("flowers102", "train_on=all"): "data.train_on=all: must be train or trainval",
    ("adience", "task=smile"): "data.task=smile: must be age or gender",
    ("adience", "fold=5"): "data.fold=5: must be from 0 to 4",
    ("adience", "faces=raw"): "data.faces=raw: must be aligned or faces",
}


@pytest.mark.parametrize(("option", "told"), OPTIONS.items())
def test_options_that_make_no_sense(option: tuple[str, str], told: str, own_folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        released(option[0], own_folder, f"data.{option[1]}")
    assert told in str(caught.value)
