"""Label files that contradict one another or the images: one line that names the file and the first ones."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from attnbench.errors import UserError
from tests.data.fine_sets import CLASSES, SAMPLES, annotations, cell, fine_set, write_set

Change = Callable[[Path], object]


def lines(file: str, change: Callable[[list[str]], list[str]]) -> Change:
    """Changes the lines of a file, sorted."""

    def apply(home: Path) -> None:
        found = change(sorted((home / file).read_text().splitlines()))
        (home / file).write_text("".join(f"{line}\n" for line in found))

    return apply


def annotate(file: str, *change: tuple[str, Any], labelled: bool = True) -> Change:
    """Changes fields of the first image of Cars' annotations."""

    def apply(home: Path) -> None:
        found = annotations([sample for sample in SAMPLES if sample.train], labelled)
        for field, value in change:
            found["annotations"][0, 0][field] = value
        savemat(home / file, found)

    return apply


def relist(file: str, **change: Callable[[Any], Any]) -> Change:
    """Changes variables of one of Dogs' lists."""

    def apply(home: Path) -> None:
        found = {name: value for name, value in loadmat(home / file).items() if not name.startswith("__")}
        savemat(home / file, {name: change.get(name, lambda kept: kept)(value) for name, value in found.items()})

    return apply


def remove(pattern: str) -> Change:
    """Removes the files that match."""

    def apply(home: Path) -> None:
        for path in home.glob(pattern):
            path.unlink()

    return apply


def text(file: str, content: str) -> Change:
    """Writes a file."""
    return lambda home: (home / file).write_text(content)


def first_number(value: int) -> Callable[[Any], Any]:
    """Another number for a list's first image."""
    return lambda numbers: np.concatenate([[[value]], numbers[1:]])


LABELS, SPLIT, BOXES = "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"
CUB: dict[str, Change] = {
    f"{LABELS}: lacks 10, which images.txt has": lines(LABELS, lambda rows: rows[1:]),
    " and 2 more, which images.txt has": lines(LABELS, lambda rows: rows[5:]),
    f"{LABELS}: has 99, which images.txt lacks": lines(LABELS, lambda rows: [*rows, "99 1"]),
    f"{LABELS}: 10 is listed twice": lines(LABELS, lambda rows: [*rows, rows[0]]),
    f"{LABELS}: has 4, which classes.txt lacks": lines(LABELS, lambda rows: ["10 4", *rows[1:]]),
    f"{SPLIT}: has 98, 99, which images.txt lacks": lines(SPLIT, lambda rows: [*rows, "98 1", "99 0"]),
    f"{SPLIT}: lacks 10, which": lines(SPLIT, lambda rows: rows[1:]),
    f"{SPLIT}: 10: must be 1, for training, or 0": lines(SPLIT, lambda rows: ["10 2", *rows[1:]]),
    f"{BOXES}: lacks 10, which images.txt has": lines(BOXES, lambda rows: rows[1:]),
    f"{BOXES}: must give 4 numbers for 10": lines(BOXES, lambda rows: ["10 1 2 3", *rows[1:]]),
    f"{BOXES}: must give 4 numbers for 10, 13": lines(BOXES, lambda rows: ["10 1 2 3 nan", "13 a b c d", *rows[2:]]),
    f"{BOXES}: nothing follows 10": lines(BOXES, lambda rows: ["10", *rows[1:]]),
    "labels.txt: lacks x10, which images.txt has": lines("images.txt", lambda rows: ["x10 a.jpg", *rows]),
    "classes.txt: x: is not a number": lines("classes.txt", lambda rows: ["x sparrow", *rows]),
    "lacks images that label files list: images/001.crow/": remove("images/001.crow/*.jpg"),
    "image08.jpg and 3 more": lambda home: shutil.rmtree(home / "images" / "011.duck"),
    "list images twice: images/": lines("images.txt", lambda rows: [f"10 {rows[1].split()[1]}", *rows[1:]]),
    "classes.txt: has classes without a training image: 041.finch": lines(
        "classes.txt", lambda rows: [*rows, "41 041.finch"]
    ),
    "images.txt: cannot be read": lambda home: (home / "images.txt").write_bytes(b"\xff\xfe1 2"),
}

META, TRAIN, TEST = "devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"
CARS: dict[str, Change] = {
    "cars_meta.mat: cannot be read as a MATLAB file": text(META, "no MATLAB file at all"),
    "MATLAB file: Mat file appears to be truncated": text(META, ""),
    f"{TEST}: has no field class": annotate(TEST, labelled=False),
    "train_annos.mat: image00.jpg: class is not from 1 to 3": annotate(TRAIN, ("class", 4)),
    "image00.jpg: class is not from 1": annotate(TRAIN, ("class", 0)),
    "label files list: cars_train/x.jpg": annotate(TRAIN, ("fname", "x.jpg")),
    "list images twice: cars_train/image01.jpg": annotate(TRAIN, ("fname", "image01.jpg")),
    "list: cars_test/image04.jpg, cars_test/image05.jpg, cars_test/image10.jpg and 3 more": remove("cars_test/*"),
    "cars_meta.mat: has no variable class_names": lambda home: savemat(home / META, {"names": cell(CLASSES)}),
    "cars_meta.mat: has classes without a training image: Volvo": lambda home: savemat(
        home / META, {"class_names": cell([*CLASSES, "Volvo 240"])}
    ),
}

ANNOTATION = "Annotation/n02000-crow/image00"
DOGS: dict[str, Change] = {
    "crow/image04.jpg: class 2 is n02001-duck elsewhere": relist("test_list.mat", labels=first_number(2)),
    "train_list.mat: has 12 images and 11 labels": relist("train_list.mat", labels=lambda kept: kept[1:]),
    "train_list.mat: has several classes called n02000-crow": relist("train_list.mat", labels=first_number(9)),
    "label files list: Images/n02000-crow/image04.jpg": remove("Images/n02000-crow/image04.jpg"),
    "Annotation: lacks n02000-crow/image00.jpg, which the lists contain": remove(ANNOTATION),
    "image08.jpg and 3 more, which the lists": lambda home: shutil.rmtree(home / "Annotation" / "n02001-duck"),
}

VARIANTS, LISTED = "variants.txt", "images_variant_test.txt"
AIRCRAFT: dict[str, Change] = {
    "images_box.txt: lacks image00, which images_variant_trainval.txt": lines("images_box.txt", lambda rows: rows[1:]),
    "trainval.txt: has A320, which variants.txt lacks": lines(VARIANTS, lambda rows: rows[:2]),
    "variants.txt: has several classes called A320": lines(VARIANTS, lambda rows: [*rows, "A320"]),
    "variants.txt: has classes without a training image: DC-3": lines(VARIANTS, lambda rows: [*rows, "DC-3"]),
    "images_box.txt: lacks x1, which images_variant_test": lines(LISTED, lambda rows: ["x1 A320", *rows]),
    "list images twice: images/image00.jpg": lines(LISTED, lambda rows: ["image00 A320", *rows]),
    "label files list: images/image04.jpg": remove("images/image04.jpg"),
}

CASES = [
    (name, expected, change)
    for name, cases in (("cub200", CUB), ("stanford_cars", CARS), ("stanford_dogs", DOGS), ("fgvc_aircraft", AIRCRAFT))
    for expected, change in cases.items()
]


@pytest.mark.parametrize(("name", "expected", "change"), CASES, ids=[expected for _, expected, _ in CASES])
def test_inconsistencies_are_named(name: str, expected: str, change: Change, own_folder: Path) -> None:
    home, _ = write_set(name, own_folder)
    change(home)
    with pytest.raises(UserError) as caught:
        fine_set(name, own_folder).check_available()
    message = str(caught.value)
    assert message.startswith(f"data={name}: {home}")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<annotation><object></object></annotation>", "image00: has no box"),
        ("<annotation><object>", "image00: cannot be read as an annotation"),
        ("<a><bndbox><xmin>1</xmin><ymin>b</ymin></bndbox></a>", "image00: must give 4 numbers for bndbox"),
    ],
)
def test_annotations_of_dogs_that_cannot_be_read(content: str, expected: str, own_folder: Path) -> None:
    home, _ = write_set("stanford_dogs", own_folder)
    (home / ANNOTATION).write_text(content)
    with pytest.raises(UserError) as caught:
        fine_set("stanford_dogs", own_folder).fingerprint()
    assert expected in str(caught.value)
    assert str(caught.value).startswith("data=stanford_dogs: ")
