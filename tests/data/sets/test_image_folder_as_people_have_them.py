"""Image folders as people have them: other words for splits, links, foreign files, classes without splits, tables."""

import csv
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.config.compose import compose
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources import left_out
from attnbench.errors import UserError
from attnbench.training.plan import plan
from tests.data.pictures import SMALL, folder_set, picture, write_folder

ALL = ("ant", "bee", "cat")


@pytest.fixture(autouse=True)
def _anew() -> None:
    left_out.warn_once.cache_clear()


def write_classes(root: Path, images: int = 20, classes: Sequence[str] = ALL) -> Path:
    """Class folders without splits; four images in a row have the same owner."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(images):
            picture(20, 20, 100 * label + number).save(root / name / f"p{number // 4}_{number}.jpg")
    return root


def paths(data: FileDataSet, split: Any) -> list[str]:
    source, members = data.members(split)
    files: Any = data.listed(source)
    return [os.fsdecode(files.paths[member]) for member in members.tolist()]


NAMES = {
    ("Train", "Val", "Test"): ("train", "validation", "test"),
    ("TRAIN", "VALID"): ("train", "test"),
    ("training", "valid", "testing"): ("train", "validation", "test"),
    ("train", "dev", "eval"): ("train", "validation", "test"),
    ("Training", "Evaluation"): ("train", "test"),
}


@pytest.mark.parametrize(("names", "splits"), NAMES.items())
def test_splits_have_many_names(names: Sequence[str], splits: Sequence[str], own_folder: Path) -> None:
    data = folder_set(write_folder(own_folder / "set", splits=names, images=3))
    data.check_available()
    assert data.splits == splits
    assert paths(data, "test")[0].startswith(f"{names[-1]}/ant/")


@pytest.mark.parametrize("names", [("train", "val", "valid"), ("train", "Train"), ("train", "test", "eval")])
def test_two_folders_of_one_split_are_rejected(names: Sequence[str], own_folder: Path) -> None:
    for name in names:
        (own_folder / "set" / name / "ant").mkdir(parents=True)
    with pytest.raises(UserError, match="set holds both "):
        folder_set(own_folder / "set").check_available()


def test_whatever_is_not_used_is_named_and_counted(own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))
    ant, bee, cat = (root / "train" / name for name in ALL)
    (ant / "gone.jpg").symlink_to("/nowhere.jpg")
    (ant / "self.png").symlink_to("self.png")
    (ant / "Thumbs.db").write_bytes(b"x")
    (ant / ".DS_Store").write_bytes(b"x")
    (bee / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(bee / "pipe.png")
    (bee / "up").symlink_to("..")  # above: would hold this folder, and all others
    (root / "train" / "loop").symlink_to(root)
    (cat / "notes.txt").write_text("x")
    picture(20, 20, 1).save(root / "train" / "loose.jpg")
    (root / "extra").mkdir()
    data = folder_set(root)
    data.check_available()
    assert {split: len(data.load(split)) for split in data.splits} == {"train": 21, "test": 9}
    expected = {
        "broken links 2 (train/ant/gone.jpg, …)",
        "hidden 2 (train/ant/.DS_Store, …)",
        "pipes or devices 2 (train/bee/pipe.png, …)",
        "links in a circle 2 (train/bee/up, …)",
        ".txt 1 (train/cat/notes.txt)",
        "images outside of class folders 1 (train/loose.jpg)",
        "of no split 1 (extra)",
    }
    (message,) = [message for message in caplog.messages if "not used" in message]
    head, _, listed = message.partition(": not used: ")
    assert head == f"data=image_folder: {root}"
    assert set(re.findall(r"\S.*?\)", listed.replace("), ", ")\n"))) == expected
    folder_set(root, "data.resize=40").check_available()
    assert len(caplog.messages) == 1


def test_circles_of_two_links_end(own_folder: Path) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))
    for one, other in (("ant", "bee"), ("bee", "ant")):
        (own_folder / one).mkdir()
        (own_folder / one / other).symlink_to(own_folder / other)
        picture(20, 20, 1).save(own_folder / one / f"{one}.jpg")
    (root / "train" / "cat" / "more").symlink_to(own_folder / "ant")
    assert [path for path in paths(folder_set(root), "train") if "more" in path] == [
        "train/cat/more/ant.jpg",
        "train/cat/more/bee/bee.jpg",
    ]


def test_a_folder_may_be_called_like_an_image(own_folder: Path) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))
    (root / "train" / "bee" / "more.jpg").mkdir()
    picture(20, 20, 1).save(root / "train" / "bee" / "more.jpg" / "image.png")
    data = folder_set(root)
    data.check_available()
    assert "train/bee/more.jpg/image.png" in paths(data, "train")
    assert len(data.load("train")) == 22


def test_images_of_further_formats_are_found(own_folder: Path) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))
    before = folder_set(root).fingerprint()
    for suffix, kind in {"jfif": "JPEG", "GIF": "GIF", "avif": "AVIF", "JPE": "JPEG"}.items():
        picture(40, 40, 1).save(root / "train" / "ant" / f"new.{suffix}", kind)
    data = folder_set(root)
    assert len(data.load("train")) == 25
    assert data.fingerprint() != before


def test_a_pipe_that_takes_the_place_of_an_image_is_not_read(own_folder: Path) -> None:
    data = folder_set(write_folder(own_folder / "set", splits=("train", "test")))
    files: Any = data.listed("test")
    path = Path(files.path(0))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="is a pipe or a device, not a file"):
        data.load("test")


def test_classes_that_are_never_tested_are_named(own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))
    for path in (root / "test" / "bee").iterdir():
        path.unlink()
    (root / "test" / "bee").rmdir()
    folder_set(root).check_available()
    assert caplog.messages == ["data=image_folder: 1 of 3 classes have no image in test: bee"]


def test_class_folders_are_split_by_name(own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    data = folder_set(root, "data.test=0.2", "data.validation=0.1")
    data.check_available()
    assert data.classes == ALL
    found = {split: paths(data, split) for split in data.splits}
    assert {split: Counter(path[:3] for path in chosen) for split, chosen in found.items()} == {
        "train": dict.fromkeys(ALL, 14),
        "validation": dict.fromkeys(ALL, 2),
        "test": dict.fromkeys(ALL, 4),
    }
    assert len({path for chosen in found.values() for path in chosen}) == 60
    by_hash = sorted((f"ant/p{n // 4}_{n}.jpg" for n in range(20)), key=lambda name: sha256(name.encode()).digest())
    assert {path for path in found["test"] if path.startswith("ant")} == set(by_hash[:4])
    assert {path for path in found["validation"] if path.startswith("ant")} == set(by_hash[4:6])
    assert paths(folder_set(root, "data.test=0.2"), "test") == found["test"]


def test_one_more_image_moves_at_most_one_other(own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    before = set(paths(folder_set(root, "data.test=0.2"), "test"))
    for number in range(5):
        picture(20, 20, number).save(root / "bee" / f"new{number}.jpg")
    after = set(paths(folder_set(root, "data.test=0.2"), "test"))
    assert {path for path in before | after if not path.startswith("bee")} <= before & after
    assert len({path for path in before if path.startswith("bee")} - after) <= 4


def test_a_number_of_images_is_balanced_too(own_folder: Path) -> None:
    data = folder_set(write_classes(own_folder / "set"), "data.test=7", "data.validation=6")
    data.check_available()
    counts = {split: np.bincount(data.listed("train").labels[data.members(split)[1]]) for split in ("train",)}
    assert np.bincount(data.listed("test").labels).tolist() == [3, 2, 2]
    assert counts["train"].tolist() == [15, 16, 16]


def test_a_class_of_two_keeps_one_to_train_on(own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    write_classes(root, 2, ("dog",))
    data = folder_set(root, "data.test=0.2", "data.validation=0.2")
    data.check_available()
    assert [sum("dog" in path for path in paths(data, split)) for split in data.splits] == [1, 0, 1]


@pytest.mark.parametrize("group", [r"p\d+", r"/(p\d+)_"])
def test_groups_are_never_split(group: str, own_folder: Path) -> None:
    data = folder_set(
        write_classes(own_folder / "set", 40), "data.test=0.2", "data.validation=0.2", f"data.group='{group}'"
    )
    data.check_available()
    owners = {split: {path.partition("/")[2].partition("_")[0] for path in paths(data, split)} for split in data.splits}
    assert [len(names) for names in owners.values()] == [6, 2, 2]
    assert len(set.union(*owners.values())) == 10


def test_training_folders_can_give_test_images(own_folder: Path) -> None:
    data = folder_set(write_folder(own_folder / "set", splits=("train", "val")), "data.test=0.3")
    data.check_available()
    assert {split: len(data.members(split)[1]) for split in data.splits} == {"train": 15, "validation": 9, "test": 6}


def test_a_class_may_be_called_train(own_folder: Path) -> None:
    data = folder_set(write_classes(own_folder / "set", classes=("car", "plane", "train")), "data.test=0.2")
    data.check_available()
    assert data.classes == ("car", "plane", "train")


def write_table(path: Path, root: Path, change: Callable[[list[list[str]]], Any] = lambda rows: None) -> Path:
    """A CSV file of the images below a folder, in an order of its own: file, label, owner."""
    images = sorted(root.rglob("*.jpg"))
    rows = [[image.relative_to(root).as_posix(), image.parent.name, image.stem.partition("_")[0]] for image in images]
    random.Random(0).shuffle(rows)
    rows.insert(0, ["Filename", "class", "owner"])
    change(rows)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def test_a_table_gives_what_folders_give(own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    write_table(own_folder / "labels.csv", root)
    for overrides in ((), ("data.validation=0.1", "data.group=owner"), ("data.validation=5",)):
        words = (f"data.test={0.4 if overrides else 0.2}", *overrides)
        by_folder = [word.replace("owner", r"'p\d+'") for word in words]
        table, folders = folder_set(root, "data.labels=labels.csv", *words), folder_set(root, *by_folder)
        assert table.classes == folders.classes
        assert table.fingerprint().startswith(folders.fingerprint())  # groups that a table lists are added
        for split in ("train", "validation", "test"):
            assert paths(table, split) == paths(folders, split)


def test_a_table_may_name_splits(own_folder: Path) -> None:
    root = write_classes(own_folder / "set")

    def add(rows: list[list[str]]) -> None:
        for number, row in enumerate(rows):
            row.append("Split" if not number else ("train", "val", "Testing")[number % 3])

    write_table(root / "labels.csv", root, add)
    data = folder_set(root, "data.labels=labels.csv")
    data.check_available()
    assert {split: len(data.listed(split)) for split in data.splits} == {"train": 20, "validation": 20, "test": 20}


FORMS: dict[str, Callable[[list[list[str]]], Any]] = {
    "no header": lambda rows: rows.pop(0),
    "names without extension": lambda rows: [row.__setitem__(0, row[0].removesuffix(".jpg")) for row in rows[1:]],
    "with dots": lambda rows: [row.__setitem__(0, f"./{row[0]}") for row in rows[1:]],
    "other words": lambda rows: rows.__setitem__(0, ["image_id", "Category", "x"]),
    "columns in any order": lambda rows: rows.__setitem__(slice(None), [row[::-1] for row in rows]),
    "blank lines": lambda rows: rows.extend([[], ["", "", ""]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_come_in_many_forms(form: str, own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_classes(own_folder / "set")
    write_table(root / "labels.csv", root, FORMS[form])
    data = folder_set(root, "data.labels=labels.csv", "data.test=0.2")
    data.check_available()
    assert {split: len(data.members(split)[1]) for split in data.splits} == {"train": 48, "test": 12}
    assert not caplog.messages


@pytest.mark.parametrize("separator", [";", "\t"])
def test_columns_may_be_separated_otherwise(separator: str, own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    table = write_table(own_folder / "labels.csv", root)
    table.write_text("\ufeff" + table.read_text().replace(",", separator), encoding="utf-8")
    data = folder_set(root, "data.labels=labels.csv", "data.test=0.2")
    assert len(data.listed("train")) == 48


def test_numbers_are_in_the_order_of_numbers(own_folder: Path) -> None:
    root = write_classes(own_folder / "set", 4, ("2", "10"))
    write_table(own_folder / "labels.csv", root)
    assert folder_set(root, "data.labels=labels.csv", "data.test=1").classes == ("2", "10")


def test_images_that_a_table_lacks_are_counted(own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_classes(own_folder / "set")
    write_table(root / "labels.csv", root, lambda rows: [rows.pop() for _ in range(7)])
    (root / "bee" / "notes.txt").write_text("x")
    folder_set(root, "data.labels=labels.csv", "data.test=0.2").check_available()
    (message,) = caplog.messages
    assert re.search(r"not used: not in labels\.csv 7 \(\w+/p\d+_\d+\.jpg, …\), \.txt 1 \(bee/notes\.txt\)$", message)


def with_splits(rows: list[list[str]], split: str) -> None:
    """Add a column of splits, in which bees are of this one."""
    for row in rows:
        row += ["split" if row[0] == "Filename" else split if row[1] == "bee" else "train"]


TABLES: dict[str, Callable[[list[list[str]]], Any]] = {
    "2 of its 60 files are not images in data.root: ant/no.jpg, ../b.jpg": lambda rows: rows.__setitem__(
        slice(1, 3), [["ant/no.jpg", "ant", ""], ["../b.jpg", "ant", ""]]
    ),
    "has no column label (it has Filename, kind, owner)": lambda rows: rows[0].__setitem__(1, "kind"),
    "has no column file and label (it has no lines)": lambda rows: rows.clear(),
    "lists images twice: ": lambda rows: rows.append(rows[5]),
    "has lines without a file or a label: ant/more.jpg": lambda rows: rows.append(["ant/more.jpg"]),
    "has 1 class; there must be 2 or more": lambda rows: [row.__setitem__(1, "ant") for row in rows[1:]],
    "names splits that are not train, val or test: holdout": lambda rows: with_splits(rows, "holdout"),
    "has classes without a training image: bee": lambda rows: with_splits(rows, "test"),
}


@pytest.mark.parametrize("expected", TABLES)
def test_mistakes_in_tables_are_one_line(expected: str, own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    write_table(own_folder / "labels.csv", root, TABLES[expected])
    with pytest.raises(UserError) as caught:
        folder_set(root, "data.labels=labels.csv").check_available()
    assert str(caught.value).startswith("data=image_folder: data.labels=labels.csv: labels.csv: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


AMOUNTS = {
    ("data.test=1.5",): "data.test=1.5: must be a number of images, or a share of them below 1",
    ("data.test=-0.1",): "data.test=-0.1: must be a number of images, or a share of them below 1",
    ("data.validation=2.5",): "data.validation=2.5: must not be negative, and a number of images, or a share",
    ("data.test=60",): "no training image is left of ant, bee, cat; hold out fewer",
    ("data.test=0.2", "data.group='['"): "data.group=[: is not a regular expression: ",
    ("data.test=0.2", "data.group=owner"): "data.group=owner: is not found in ant/p0_0.jpg",
    ("data.test=0.2", "data.group=jpg"): "data.test=0.2: holds out none of the images in ",
    ("data.labels=none.csv",): "none.csv: cannot be read: No such file or directory",
    ("data.labels=.",): "cannot be read: Is a directory",
}


@pytest.mark.parametrize(("overrides", "expected"), AMOUNTS.items())
def test_mistakes_in_options_are_one_line(overrides: Sequence[str], expected: str, own_folder: Path) -> None:
    root = write_classes(own_folder / "set")
    with pytest.raises(UserError) as caught:
        folder_set(root, *overrides).check_available()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_test_images_on_disk_are_used(own_folder: Path) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))
    with pytest.raises(UserError, match=r"data\.test=0\.2: .*set has its own 9 test images; set it to 0"):
        folder_set(root, "data.test=0.2").check_available()


FURTHER: dict[str, tuple[Callable[[Path], Any], tuple[str, ...], str]] = {
    "classes here": (write_classes, (), "data.test=0.2 takes them for classes and holds out a fifth of each"),
    "classes below": (
        lambda root: write_classes(root / "a" / "b"),
        (),
        "set/a/b holds folders of images (ant, bee, cat): data.root={root}/a/b data.test=0.2 takes them",
    ),
    "one folder": (lambda root: write_classes(root / "a"), ("data.test=0.2",), "holds 1 class folders; {root}/a holds"),
    "splits below": (
        lambda root: write_folder(root / "a" / "b", splits=("Train", "val")),
        (),
        "{root}/a/b/Train is one: set data.root={root}/a/b",
    ),
    "nothing": (lambda root: root.mkdir(), (), "set data.root to a folder that holds train/<class>/<image>"),
}


@pytest.mark.parametrize("case", FURTHER)
def test_the_message_points_to_class_folders_further_down(case: str, own_folder: Path) -> None:
    write, overrides, expected = FURTHER[case]
    root = own_folder / "set"
    write(root)
    with pytest.raises(UserError) as caught:
        folder_set(root, *overrides).check_available()
    assert expected.format(root=root) in str(caught.value)


def test_new_options_leave_identities_as_they_were(own_folder: Path) -> None:
    root = write_folder(own_folder / "set", splits=("train", "test"))

    def identity(*overrides: str) -> str:
        words = ["data=image_folder", f"data.root={root}", *SMALL, "backbone.width=4", *overrides]
        return plan(compose(words)).identity

    assert identity("data.test=0", "data.group=null", "data.labels=null") == identity()
    assert identity("data.validation=3") != identity()
