"""The layouts that images in folders may have, and what is said where they do not fit."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.sets.imagenet import TRUTH
from attnbench.errors import UserError
from attnbench.training.plan import plan
from tests.data.pictures import SMALL, folder_set, picture, truncate, write_folder

LAYOUTS = {
    ("train",): {"train": 21},
    ("train", "val"): {"train": 21, "test": 9},
    ("train", "validation"): {"train": 21, "test": 9},
    ("train", "test"): {"train": 21, "test": 9},
    ("train", "val", "test"): {"train": 21, "validation": 9, "test": 9},
}


@pytest.mark.smoke
@pytest.mark.parametrize(("splits", "expected"), LAYOUTS.items())
def test_layouts(splits: tuple[str, ...], expected: dict[str, int], own_folder: Path) -> None:
    data = folder_set(write_folder(own_folder / "set", splits=splits))
    data.check_available()
    assert data.classes == ("ant", "bee", "cat")
    assert {split: len(data.load(split)) for split in data.splits} == expected
    assert data.train_images == 21


def test_validation_is_held_out_and_balanced(own_folder: Path) -> None:
    data = folder_set(write_folder(own_folder / "set", splits=("train", "test")), "data.validation=6")
    data.check_available()
    assert data.splits == ("train", "validation", "test")
    sources = {split: data.members(split) for split in data.splits}
    assert [source for source, _ in sources.values()] == ["train", "train", "test"]
    assert np.bincount(data.load("validation").labels).tolist() == [2, 2, 2]
    together = np.concatenate([sources["train"][1], sources["validation"][1]])
    assert sorted(together.tolist()) == list(range(21))


def test_loaded_images_are_central_crops(own_folder: Path) -> None:
    arrays = folder_set(write_folder(own_folder / "set")).load("test")
    assert arrays.images.shape == (9, 32, 32, 3)
    assert arrays.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3


ALL = ("ant", "bee", "cat")
BIRDS = ("emu", "duck", "crow", "bird")


def remove(*paths: str) -> Callable[[Path], None]:
    """Removes folders."""

    def change(root: Path) -> None:
        for path in paths:
            shutil.rmtree(root / path)

    return change


def make(*paths: str) -> Callable[[Path], None]:
    """Makes empty folders."""

    def change(root: Path) -> None:
        for path in paths:
            (root / path).mkdir()

    return change


Mistake = tuple[Callable[[Path], None], tuple[str, ...]]
MISTAKES: dict[str, Mistake] = {
    "no train folder in": (remove("train"), ()),
    "train holds 1 class folders": (remove("train/ant", "train/bee"), ()),
    "val has classes that train lacks: dog, eel": (make("val/eel", "val/dog"), ()),
    "train: no image in bird, crow, duck and 1 more": (make(*(f"train/{name}" for name in BIRDS)), ()),
    "test holds no class folders": (remove(*(f"test/{name}" for name in ALL)), ()),
    "holds both val and validation": (make("validation"), ()),
    "has its own 9 validation images": (make(), ("data.validation=3",)),
    "must be below 21, the training images": (remove("val"), ("data.validation=21",)),
}


@pytest.mark.parametrize(("expected", "mistake"), MISTAKES.items())
def test_mistakes_are_one_line(expected: str, mistake: Mistake, own_folder: Path) -> None:
    root = write_folder(own_folder / "set")
    change, overrides = mistake
    change(root)
    with pytest.raises(UserError) as caught:
        folder_set(root, *overrides).check_available()
    message = str(caught.value)
    assert message.startswith("data=image_folder: ")
    assert expected in message
    assert "\n" not in message
    assert str(root) in message


OPTIONS = {
    "image_size=40": "data.resize=36: must be at least image_size (40)",
    "image_size=0": "data.image_size=0: must be at least 1",
    "train_crop=centre": "data.train_crop=centre: must be random, random_resized or center",
    "workers=-1": "data.workers=-1: must not be negative, or auto",
    "cache=memory": "data.cache=memory: must be none, ram or disk",
    "on_bad_image=ignore": "data.on_bad_image=ignore: must be error or skip",
    "validation=-1": "data.validation=-1: must not be negative",
    "mean=[0.5]": "data.mean=[0.5]: must hold 3 numbers",
}


@pytest.mark.parametrize(("option", "expected"), OPTIONS.items())
def test_invalid_options_are_one_line(option: str, expected: str, own_folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        folder_set(own_folder, f"data.{option}")
    assert expected in str(caught.value)


@pytest.mark.parametrize("verb", ["cost", "train"])
def test_without_a_folder_one_line_says_so(verb: str, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "data=image_folder", "data.root=nowhere"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    for part in ("data=image_folder", "train", str(own_folder / "nowhere"), "data.root"):
        assert part in err


def test_costs_with_a_folder(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(own_folder / "set")
    assert main(["cost", "data=image_folder", "data.root=set"]) == 0
    assert "3x224x224, 3 classes" in capsys.readouterr().out


def test_the_files_are_part_of_the_identity(own_folder: Path) -> None:
    root = write_folder(own_folder / "set")

    def identity(*overrides: str) -> str:
        config = compose(["data=image_folder", "data.root=set", *SMALL, "backbone.width=4", *overrides])
        return plan(config).identity

    start = identity()
    for same in ("data.workers=3", "data.cache=ram", "data.on_bad_image=skip", f"data.root={root}"):
        assert identity(same) == start
    assert identity("data.resize=40") != start
    picture(30, 30, 7).save(root / "train" / "ant" / "one_more.jpg")
    assert identity() != start


def test_the_groups_of_a_table_are_part_of_the_fingerprint_where_validation_images_are_held_out(
    own_folder: Path,
) -> None:
    root = write_folder(own_folder / "set", splits=("train",))
    images = sorted(path.relative_to(root).as_posix() for path in root.rglob("image*"))

    def fingerprint(size: int, *overrides: str) -> str:
        rows = [f"{image},{image.split('/')[1]},p{number // size}" for number, image in enumerate(images)]
        (own_folder / "labels.csv").write_text("\n".join(["file,label,patient", *rows]))
        return folder_set(root, "data.labels=labels.csv", *overrides).fingerprint()

    plain, held_out = fingerprint(2), ("data.group=patient", "data.validation=6")
    assert fingerprint(2, *held_out) == fingerprint(2, *held_out)
    assert len({plain, fingerprint(2, *held_out), fingerprint(3, *held_out)}) == 3
    for overrides in (("data.group=patient",), ("data.validation=6",), ("data.group=image", "data.validation=6")):
        assert fingerprint(2, *overrides) == fingerprint(3, *overrides) == plain


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of ImageNet's classes, with two or three training images and a test image each."""
    root = tmp_path_factory.mktemp("imagenet")
    for label in range(1000):
        for split, images in (("train", 2 + label % 2), ("val", 1)):
            folder = root / split / f"n{label:08d}"
            folder.mkdir(parents=True)
            for number in range(images):
                picture(36, 36, label).save(folder / f"n{label:08d}_{number}.JPEG")
    return root


def test_imagenet_in_torchvisions_layout(imagenet: Path) -> None:
    data: Any = build_data(compose(["data=imagenet", f"data.root={imagenet}", *SMALL, "data.validation=500"]))
    data.check_available()
    assert data.num_classes == len(data.classes) == 1000
    assert data.classes[:2] == ("n00000000", "n00000001")
    sizes = {split: len(data.members(split)[1]) for split in data.splits}
    assert sizes == {"train": 2000, "validation": 500, "test": 1000}
    assert data.files("test").path(3) == str(imagenet / "val" / "n00000003" / "n00000003_0.JPEG")
    assert np.bincount(data.files("train").labels).tolist() == [2, 3] * 500


ORDER = np.random.default_rng(4).permutation(1000)
"""The challenge's numbers from 0, in the order of WordNet's ids."""


def write_unsorted(root: Path, imagenet: Path, kind: str) -> Path:
    """ImageNet with its test images as the archive has them: image k, counted from 1, is of class 7 k modulo 1000."""
    home = root / "ILSVRC" / "Data" / "CLS-LOC" if kind == "kaggle" else root
    (home / "val").mkdir(parents=True)
    (home / "train").symlink_to(imagenet / "train")
    labels = [7 * number % 1000 for number in range(1, 1001)]
    for number, label in enumerate(labels, 1):
        source = imagenet / "val" / f"n{label:08d}" / f"n{label:08d}_0.JPEG"
        shutil.copy(source, home / "val" / f"ILSVRC2012_val_{number:08d}.JPEG")
    if kind == "kaggle":
        rows = [
            f"ILSVRC2012_val_{k:08d},n{label:08d} 1 2 30 40 n{label:08d} 5 6 7 8" for k, label in enumerate(labels, 1)
        ]
        (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]))
        return home
    # as in the devkit: rows by the challenge's numbers, then groups of classes
    kept = [(int(ORDER[label]) + 1, f"n{label:08d}", "a word", 0) for label in np.argsort(ORDER).tolist()]
    groups = [(1001 + number, f"n1{number:07d}", "a group", 3) for number in range(5)]
    synsets = np.empty((1005, 1), [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")])
    synsets[:, 0] = kept + groups
    data = home / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": synsets})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{ORDER[label] + 1}\n" for label in labels))
    return home


@pytest.mark.parametrize("kind", ["devkit", "kaggle"])
def test_imagenets_test_images_may_be_unsorted(kind: str, own_folder: Path, imagenet: Path) -> None:
    home = write_unsorted(own_folder / "set", imagenet, kind)
    data: Any = build_data(compose(["data=imagenet", f"data.root={home}", *SMALL, "data.validation=0"]))
    data.check_available()
    files = data.files("test")
    assert len(files) == 1000
    assert files.path(2) == str(home / "val" / "ILSVRC2012_val_00000003.JPEG")
    assert files.labels.tolist() == [7 * number % 1000 for number in range(1, 1001)]
    assert data.classes[7] == "n00000007"
    assert len(data.files("train")) == 2500


UNSORTED: dict[str, Callable[[Path], Any]] = {
    "neither ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt nor LOC_val_solution.csv was found": (
        lambda root: shutil.rmtree(root / "ILSVRC2012_devkit_t12")
    ),
    "lacks ILSVRC2012_val_00000012.JPEG, which ILSVRC2012_validation_ground_truth.txt has": (
        lambda root: (root / "val" / "ILSVRC2012_val_00000012.JPEG").unlink()
    ),
    "has mine.JPEG, which ILSVRC2012_validation_ground_truth.txt lacks": (
        lambda root: picture(30, 30, 0).save(root / "val" / "mine.JPEG")
    ),
    "has classes that meta.mat lacks: 1001": (
        lambda root: replace_line(root / TRUTH, 3, "1001")  # of a group
    ),
    "cannot be read as a MATLAB file": lambda root: (root / TRUTH).with_name("meta.mat").write_text("none"),
}


def replace_line(path: Path, place: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[place] = line
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(("expected", "mistake"), UNSORTED.items())
def test_mistakes_in_unsorted_images_are_one_line(
    expected: str, mistake: Callable[[Path], Any], own_folder: Path, imagenet: Path
) -> None:
    home = write_unsorted(own_folder / "set", imagenet, "devkit")
    mistake(home)
    with pytest.raises(UserError, match=re.escape(expected)) as caught:
        build_data(compose(["data=imagenet", f"data.root={home}"])).check_available()
    assert "\n" not in str(caught.value)


def test_imagenets_fingerprint_asks_for_few_sizes(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data: Any = build_data(compose(["data=imagenet", f"data.root={imagenet}"]))
    listed = [data.listed(split) for split in ("train", "test")]
    asked: list[Any] = []
    stat = os.stat

    def noting(path: Any, **options: Any) -> os.stat_result:
        asked.append(path)
        return stat(path, **options)

    monkeypatch.setattr("os.stat", noting)
    data.fingerprint()
    assert sum(map(len, listed)) == 3500
    assert len(asked) == 2000


def test_a_part_of_imagenet_is_not_imagenet(own_folder: Path, imagenet: Path) -> None:
    data = build_data(compose(["data=imagenet", "data.root=part"]))
    with pytest.raises(UserError, match=r"no train folder in .*part; .*image-net\.org"):
        data.check_available()
    shutil.copytree(imagenet, own_folder / "part")
    shutil.rmtree(own_folder / "part" / "val" / "n00000500")
    with pytest.raises(UserError, match="val holds 999 class folders, not 1000; use data=image"):
        data.check_available()


def test_imagenet_costs_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "data=imagenet", "backbone=resnet50"]) == 0
    out = capsys.readouterr().out
    assert "3x224x224, 1000 classes" in out
    assert "25,557,032" in out  # torchvision's ResNet-50


def test_data_is_listed_whether_it_is_there_or_not(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def row(root: str) -> list[str]:
        assert main(["list", "data", "--root", root]) == 0
        return next(line.split() for line in capsys.readouterr().out.splitlines() if "image_folder" in line)

    assert row("nowhere")[1:5] == ["no", "–", "–", "224"]
    write_folder(own_folder / "set")
    assert row("set")[1:7] == ["yes", "21", "+", "9", "3", "224"]


def test_a_bad_image_is_named_when_loaded(own_folder: Path) -> None:
    root = write_folder(own_folder / "set")
    path = truncate(root / "test" / "bee" / "image0.png")
    with pytest.raises(UserError, match="image0") as caught:
        folder_set(root).load("test")
    assert str(path) in str(caught.value)
    assert len(folder_set(root, "data.on_bad_image=skip").load("test")) == 8
