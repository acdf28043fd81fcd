"""Adience: folds, labels, and people who stay on one side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.cli.main import main
from attnbench.data.sets.adience import CLASSES, NONE, age_group
from attnbench.data.sources.left_out import warn_once
from tests.data.layouts import HEAD, write_adience, write_images, write_text
from tests.data.published_sets import paths, released

PEOPLE = 3


@pytest.fixture
def home(own_folder: Path) -> Path:
    warn_once.cache_clear()
    return write_adience(own_folder, PEOPLE)


def adience(home: Path, *overrides: str) -> Any:
    return released("adience", home, *overrides)


AGE_LABELS = {
    "(0, 2)": "0-2", "2": "0-2", "(4, 6)": "4-6", "(8, 12)": "8-13", "13": "8-13", "(15, 20)": "15-20",
    "(25, 32)": "25-32", "(27, 32)": "25-32", "29": "25-32", "(38, 43)": "38-43", "(38, 42)": "38-43", "42": "38-43",
    "(48, 53)": "48-53", "(60, 100)": "60+",
    "3": None, "22": None, "35": None, "45": None, "58": None, "(8, 23)": None, "(38, 48)": None, "None": None,
    "": None,
}  # fmt: skip


@pytest.mark.parametrize(("label", "group"), AGE_LABELS.items())
def test_ages_belong_to_the_group_that_holds_them(label: str, group: str | None) -> None:
    assert age_group(label) == (NONE if group is None else CLASSES["age"].index(group))


def people(data: Any, split: str) -> set[str]:
    return {path.split("/")[1] for path in paths(data.files(split))}


@pytest.mark.parametrize("fold", range(5))
def test_one_fold_is_tested_on(home: Path, fold: int) -> None:
    data = adience(home, f"data.fold={fold}")
    assert people(data, "test") == {f"{fold}{person}@N0{person}" for person in range(PEOPLE)}
    assert len(people(data, "train")) == 4 * PEOPLE
    assert not people(data, "test") & people(data, "train")


def test_ages(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = adience(home)
    assert data.classes == ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+")
    # of the twelve faces of a person, 35 and None are left out, (27, 32) is 25-32, and 13 is 8-13
    assert data.files("test").labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 4, 2] * PEOPLE
    assert paths(data.files("test"))[1] == "aligned/00@N00/landmark_aligned_face.1.1_o.jpg"
    message = "data=adience: leaves out 30 of 180 faces, which have no label for age"
    assert caplog.messages == [message]
    _ = adience(home).files("train")
    assert caplog.messages == [message]  # logged once in a process


def test_the_list_of_data_counts_the_faces_that_are_used(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def images(root: Path) -> str:
        assert main(["list", "data", "--root", str(root)]) == 0
        return next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("adience"))

    assert "120 + 30" in images(home)  # of 180, of which 30 have no age
    assert "26,580" in images(home / "nowhere")


def test_genders(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = adience(home, "data.task=gender", "data.faces=faces")
    assert data.classes == ("female", "male")
    assert data.num_classes == 2
    assert data.files("test").labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1] * PEOPLE  # u and nothing are left out
    assert paths(data.files("test"))[0] == "faces/00@N00/coarse_tilt_aligned_face.0.0_o.jpg"
    assert "leaves out 30 of 180 faces, which have no label for gender" in caplog.text


def test_faces_that_are_left_out_need_no_image(home: Path) -> None:
    (home / "aligned" / "00@N00" / "landmark_aligned_face.8.8_o.jpg").unlink()  # 35
    assert len(adience(home).files("test")) == 10 * PEOPLE


def test_columns_may_stand_in_any_order(home: Path) -> None:
    write_images(home, ["aligned/me/landmark_aligned_face.9.a b.jpg"])
    head, *_ = (home / "fold_0_data.txt").read_text().splitlines()
    assert head.split("\t") == HEAD
    write_text(
        home / "fold_0_data.txt", ["gender\tage\tface_id\tx\toriginal_image\tuser_id", "m\t29\t9\t0\ta b.jpg\tme"]
    )
    files = adience(home).files("test")
    assert paths(files) == ["aligned/me/landmark_aligned_face.9.a b.jpg"]
    assert files.labels.tolist() == [4]


def test_people_in_several_folds_are_reported(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = (home / "fold_1_data.txt").read_text().splitlines()
    more = (home / "fold_3_data.txt").read_text().splitlines()[1:15]
    write_text(home / "fold_1_data.txt", [*lines, *more])
    _ = adience(home).files("train")
    assert f"data=adience: the folds in {home} share people: 30@N00, 31@N01" in caplog.messages


def test_held_out_faces_are_of_other_people(home: Path) -> None:
    data = adience(home, "data.task=gender", "data.validation=30")
    data.check_available()
    (_, trained), (source, held_out) = data.members("train"), data.members("validation")
    users = np.array([path.split("/")[1] for path in paths(data.files(source))])
    assert len(held_out) == 30
    assert len(trained) == 90
    assert not set(users[trained]) & set(users[held_out])
    assert np.bincount(data.files("train").labels[held_out]).tolist() == [15, 15]
