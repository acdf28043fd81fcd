"""Miniature copies of published sets, each in its authors' own layout."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.data.pictures import picture

WNIDS = ("n03", "n01", "n02")
DISHES = ("apple_pie", "gyoza", "pho")
BREEDS = {"Abyssinian": 1, "american_bulldog": 2, "Bengal": 3}
MEALS = {"1": "rice", "2": "eels on rice", "17": "hamburger"}


def write_images(root: Path, paths: Sequence[str], size: tuple[int, int] = (20, 16)) -> None:
    """Images, each different from the others."""
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture(*size, number).save(root / path)


def write_text(path: Path, lines: Sequence[str]) -> None:
    """A text file of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_tiny_imagenet(root: Path) -> Path:
    """Three classes of four training images and two test images; each box has the image's number as its left edge."""
    home = root / "tiny-imagenet-200"
    write_text(home / "wnids.txt", WNIDS)
    write_text(home / "words.txt", [f"{wnid}\ta thing, a kind of thing" for wnid in WNIDS])
    for wnid in WNIDS:
        write_images(home / "train" / wnid / "images", [f"{wnid}_{number}.JPEG" for number in range(4)], (64, 64))
        boxes = [f"{wnid}_{number}.JPEG\t{number}\t10\t63\t58" for number in (2, 0, 3, 1)]
        write_text(home / "train" / wnid / f"{wnid}_boxes.txt", boxes)
    write_images(home / "val" / "images", [f"val_{number}.JPEG" for number in range(6)], (64, 64))
    labelled = [f"val_{number}.JPEG\t{WNIDS[number % 3]}\t{number}\t32\t44\t62" for number in range(6)]
    write_text(home / "val" / "val_annotations.txt", labelled)
    write_images(home / "test" / "images", ["test_0.JPEG"], (64, 64))
    return home


def write_food101(root: Path) -> Path:
    """Three dishes with three training images and two test images each."""
    home = root / "food-101"
    write_text(home / "meta" / "classes.txt", DISHES)
    for split, numbers in (("train", (101, 100, 102)), ("test", (7, 8))):
        names = [f"{dish}/{number}" for dish in DISHES for number in numbers]
        write_text(home / "meta" / f"{split}.txt", names)
        write_images(home / "images", [f"{name}.jpg" for name in names])
    return home


def write_mat(path: Path, variables: Mapping[str, Sequence[int]]) -> None:
    """A MATLAB file of rows of small whole numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {name: np.array([values], np.uint16) for name, values in variables.items()})


FLOWERS = (77, 77, 77, 1, 1, 102, 102, 5, 5, 5)


def write_flowers102(root: Path) -> Path:
    """Ten images, numbered from 1, of four kinds."""
    home = root / "flowers-102"
    write_images(home / "jpg", [f"image_{number:05d}.jpg" for number in range(1, 11)])
    write_mat(home / "imagelabels.mat", {"labels": FLOWERS})
    write_mat(home / "setid.mat", {"trnid": (4, 1, 6, 8), "valid": (2, 9, 7), "tstid": (10, 5, 3)})
    return home


def write_pets(root: Path) -> Path:
    """Three breeds with three training images, the heads of two marked, and two test images."""
    home = root / "oxford-iiit-pet"
    for split, numbers in (("trainval", (1, 10, 2)), ("test", (200, 21))):
        rows = [(f"{breed}_{number}", label) for breed, label in BREEDS.items() for number in numbers]
        lines = [f"{name} {label} {1 + (label == 2)} 1" for name, label in rows]
        write_text(home / "annotations" / f"{split}.txt", lines)
        write_images(home / "images", [f"{name}.jpg" for name, _ in rows])
    write_images(home / "images", ["Bengal_999.jpg"])  # in no list, as some of the original's
    for number in (1, 2):
        for breed in BREEDS:
            box = f"<xmin>{number}</xmin><ymin>3</ymin><xmax>14</xmax><ymax>12</ymax>"
            name = f"<filename>{breed}_{number}.jpg</filename>"
            text = f"<annotation>{name}<object><name>cat</name><bndbox>{box}</bndbox></object></annotation>"
            write_text(home / "annotations" / "xmls" / f"{breed}_{number}.xml", [text])
    return home


def write_uecfood100(root: Path, photos: int = 20) -> Path:
    """Three dishes; each photo has rice on its left half, and every fourth eels on its right half, too.

    As in the original, photos of two dishes are in both folders.
    """
    home = root / "UECFOOD100"
    write_text(home / "category.txt", ["id\tname", *(f"{folder}\t{name}" for folder, name in MEALS.items())])
    listed = {"1": range(photos), "2": range(0, photos, 4), "17": range(100, 110)}
    boxes = {"1": "0 0 20 30", "2": "20 0 40 30", "17": "5 5 45 35"}
    for folder, numbers in listed.items():
        for number in numbers:
            path = home / folder / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(40, 30, number).save(path)
        write_text(home / folder / "bb_info.txt", ["img x1 y1 x2 y2", *(f"{n} {boxes[folder]}" for n in numbers)])
    return home


HEAD = "user_id original_image face_id age gender x y dx dy tilt_ang fiducial_yaw_angle fiducial_score".split()  # noqa: SIM905
LABELS = (
    *(("(0, 2)", "f"), ("(4, 6)", "m"), ("(8, 12)", "f"), ("(15, 20)", "m"), ("(25, 32)", "f"), ("(38, 43)", "u")),
    *(("(48, 53)", "m"), ("(60, 100)", ""), ("35", "f"), ("None", "m"), ("(27, 32)", "f"), ("13", "m")),
)
"""Age and gender of each person's faces, in turns."""


def write_adience(root: Path, people: int = 3) -> Path:
    """Twelve faces of each of the people of each fold, in both forms."""
    home = root / "adience"
    for fold in range(5):
        lines = ["\t".join(HEAD)]
        for person in range(people):
            user = f"{fold}{person}@N0{person}"
            for face, (age, gender) in enumerate(LABELS):
                lines.append("\t".join([user, f"{face}_o.jpg", str(face), age, gender, *"1234567"]))
                kinds = ("aligned", "landmark_aligned_face"), ("faces", "coarse_tilt_aligned_face")
                write_images(home, [f"{folder}/{user}/{name}.{face}.{face}_o.jpg" for folder, name in kinds], (16, 16))
        write_text(home / f"fold_{fold}_data.txt", lines)
    return home
