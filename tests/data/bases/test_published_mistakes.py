"""Inconsistent label files and options of published sets end in one line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnbench.errors import UserError
from tests.data.layouts import FLOWERS, write_images, write_mat, write_text
from tests.data.published_sets import released, write

Change = Callable[[Path], Any]


def without(*names: str) -> Change:
    """Removes files or folders."""

    def change(home: Path) -> None:
        for name in names:
            shutil.rmtree(home / name) if (home / name).is_dir() else (home / name).unlink()

    return change


def text(file: str, *lines: str, keep: int = 0) -> Change:
    """Rewrites a text file after its first `keep` lines."""
    return lambda home: write_text(home / file, [*(home / file).read_text().splitlines()[:keep], *lines])


def image(*names: str) -> Change:
    """Adds images."""
    return lambda home: write_images(home, names)


def mat(file: str, **variables: tuple[int, ...]) -> Change:
    """Rewrites a MATLAB file."""
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


@pytest.mark.parametrize(
    ("name", "expected"), [(name, expected) for name, mistakes in MISTAKES.items() for expected in mistakes]
)
def test_mistakes_are_one_line(name: str, expected: str, own_folder: Path) -> None:
    home = write(name, own_folder)
    MISTAKES[name][expected](home)
    data = released(name, own_folder)
    with pytest.raises(UserError) as caught:
        data.check_available()
        data.fingerprint()
        _ = data.classes
    message = str(caught.value)
    assert message.startswith(f"data={name}: no " if "HOME" in expected else f"data={name}: {home}")
    assert expected.replace("HOME", str(home)) in message
    assert "\n" not in message


OPTIONS = {
    ("flowers102", "train_on=all"): "data.train_on=all: must be train or trainval",
    ("adience", "task=smile"): "data.task=smile: must be age or gender",
    ("adience", "fold=5"): "data.fold=5: must be from 0 to 4",
    ("adience", "faces=raw"): "data.faces=raw: must be aligned or faces",
}


@pytest.mark.parametrize(("option", "expected"), OPTIONS.items())
def test_invalid_options_are_one_line(option: tuple[str, str], expected: str, own_folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        released(option[0], own_folder, f"data.{option[1]}")
    assert expected in str(caught.value)
