"""Layouts of fine-grained sets: folders, missing files, parts of a set, and changed label files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.sources import label_files as labels
from attnbench.errors import UserError
from tests.data.fine_sets import fine_set, write_set
from tests.data.sets.test_fine_grained import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_root_is_the_folder_or_what_holds_it(name: str, own_folder: Path) -> None:
    home, _ = write_set(name, own_folder)
    for root in (home, home.parent, own_folder):
        assert len(fine_set(name, root).files("train")) == 12
    fingerprints = {fine_set(name, root).fingerprint() for root in (home, own_folder)}
    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    ("name", "part", "place"),
    [
        ("stanford_cars", "cars_test_annos_withlabels.mat", "devkit"),
        ("stanford_dogs", "train_list.mat", "lists"),
        ("stanford_dogs", "test_list.mat", "lists"),
    ],
)
def test_parts_may_be_in_another_folder(name: str, part: str, place: str, own_folder: Path) -> None:
    home, _ = write_set(name, own_folder)
    (home / place).mkdir(exist_ok=True)
    (home / part).rename(home / place / part)
    assert len(fine_set(name, own_folder).files("train")) == 12


ABSENT = {
    "cub200": ("CUB_200_2011", "CUB_200_2011.tgz", "Caltech"),
    "stanford_cars": (
        "stanford_cars",
        "cars_train.tgz",
        "car_devkit.tgz",
        "cars_test_annos_withlabels.mat",
        "Stanford",
    ),
    "stanford_dogs": ("stanford_dogs", "images.tar", "annotation.tar", "lists.tar", "Stanford"),
    "fgvc_aircraft": ("fgvc-aircraft-2013b", "fgvc-aircraft-2013b.tar.gz", "Oxford"),
}


def error_of(data: Any) -> str:
    with pytest.raises(UserError) as caught:
        data.check_available()
    message = str(caught.value)
    assert message.startswith(f"data={data.name}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_set_says_what_where_and_how(name: str, own_folder: Path) -> None:
    message = error_of(fine_set(name, own_folder / "nowhere"))
    for part in (*ABSENT[name], "data.root", f"in {own_folder / 'nowhere'};"):
        assert part in message


PARTS = {
    "cub200": (
        "images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt", "images",
    ),
    "stanford_cars": (
        "devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat",
        "cars_train", "cars_test",
    ),
    "stanford_dogs": ("train_list.mat", "test_list.mat", "Annotation", "Images"),
    "fgvc_aircraft": (
        "variants.txt", "images_variant_trainval.txt", "images_variant_test.txt", "images_box.txt", "images",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in NAMES for part in PARTS[name]])
def test_missing_parts_are_named(name: str, part: str, own_folder: Path) -> None:
    home, _ = write_set(name, own_folder)
    shutil.rmtree(home / part) if (home / part).is_dir() else (home / part).unlink()
    assert f"no {part} in {home}; unpack the rest of the set there" in error_of(fine_set(name, own_folder))


def keep_lines(path: Path, wanted: Callable[[str], bool]) -> None:
    """Leave out the other lines."""
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines() if wanted(line)))


def test_some_of_the_classes(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, _ = write_set("cub200", own_folder)
    keep_lines(home / "classes.txt", lambda line: not line.startswith("11 "))
    labels = dict(line.split() for line in (home / "image_class_labels.txt").read_text().splitlines())
    for file in ("images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"):
        keep_lines(home / file, lambda line: labels[line.split()[0]] != "11")
    data = fine_set("cub200", own_folder)
    data.check_available()
    assert (data.classes, data.num_classes, data.all_classes) == (("001.crow", "021.emu"), 2, 200)
    assert np.bincount(data.files("train").labels).tolist() == [4, 4]
    assert main(["cost", "data=cub200", f"data.root={own_folder}"]) == 0
    assert "2 of 200 classes" in capsys.readouterr().out
    assert main(["list", "data", "--root", str(own_folder)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["cub200"])
    assert row.split()[:8] == ["cub200", "yes", "8", "+", "4", "2", "of", "200"]


@pytest.mark.parametrize(("name", "classes"), list(zip(NAMES, (200, 196, 120, 100), strict=True)))
def test_without_the_set_its_classes_are_known(name: str, classes: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert build_data(compose([f"data={name}"])).num_classes == classes
    assert main(["cost", f"data={name}"]) == 0
    assert f"3x224x224, {classes} classes" in capsys.readouterr().out


def test_a_run_on_a_part_says_so(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set("cub200", own_folder)
    options = ("data.root=.", "data.image_size=32", "data.resize=36", "data.workers=0", "data.batch_size=6")
    words = ("data=cub200", *options, "backbone.width=4", "recipe.epochs=1", "trainer.threads=1", "logger=none")
    assert main(["train", *words]) == 0
    assert "\n  on a part of the data set: 3 of 200 classes" in capsys.readouterr().out
    record = json.loads(next(own_folder.glob("outputs/runs/*/seed0/record.json")).read_text())
    assert {key: record["data"][key] for key in ("classes", "all_classes", "train_images", "test_images")} == {
        "classes": 3, "all_classes": 200, "train_images": 12, "test_images": 6,
    }  # fmt: skip
    assert main(["train", "-m", *words, "sweep.jobs=1"]) == 0
    assert "on a part of the data set: 3 of 200 classes" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", NAMES)
def test_label_files_are_read_once_until_they_change(
    name: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(name, own_folder)
    kind, reads = type(fine_set(name, own_folder)), []
    read = kind.read

    def noting(self: Any) -> Any:
        reads.append(name)
        return read(self)

    monkeypatch.setattr(kind, "read", noting)
    label_file = fine_set(name, own_folder).path_of(PARTS[name][1])
    for settled, expected in ((60_000_000_000, 2), (-1, 1), (-1, 1)):  # what may still change is read each time
        monkeypatch.setattr(labels, "SETTLED_NS", settled)
        label_file.touch()
        reads.clear()
        assert len({fine_set(name, own_folder).fingerprint() for _ in range(2)}) == 1
        assert len(reads) == expected
