"""Files are assigned to splits by their names."""

from pathlib import Path

import pytest

from attnbench.data.sources.split_names import split_files, words_of
from attnbench.errors import UserError

NAMES = {
    "train-000000.tar": {"train"},
    "imagenet1k-validation-07.tar": {"validation"},
    "birds_VAL.tar": {"val"},
    "test.tar": {"test"},
    "training-0.tar": {"training"},
    "dev-train-0.tar": {"train"},
    "Eval.tar": {"eval"},
    "latest-0.tar": set(),
    "train_test-0.tar": {"train", "test"},
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_words_stand_for_themselves(name: str, expected: set[str]) -> None:
    assert words_of(Path(name)) == expected


def test_files_that_name_no_split_or_two_are_of_none(own_folder: Path) -> None:
    for name in (
        *list(NAMES)[:4],
        "latest-0.tar",
        "train_test-0.tar",
        "train-000000.tar.gz",
        "train-1.txt",
        "train-000002.tar",
    ):
        (own_folder / name).write_bytes(b"")
    found = split_files(own_folder, ".tar", "shards")
    assert {word: [path.name for path in paths] for word, paths in found.items()} == {
        "train": ["train-000000.tar", "train-000002.tar"],
        "val": ["birds_VAL.tar"],
        "validation": ["imagenet1k-validation-07.tar"],
        "test": ["test.tar"],
    }


def test_all_parts_that_names_count_must_be_there(own_folder: Path) -> None:
    for number in (0, 1, 3):
        (own_folder / f"train-{number:05d}-of-00006.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"train-\*: of 00006 parts, counted from 0, these are missing: 2, 4, 5"):
        split_files(own_folder, ".tar", "shards")
    for number in (2, 4, 5):
        (own_folder / f"train-{number:05d}-of-00006.tar").write_bytes(b"")
    assert len(split_files(own_folder, ".tar", "shards")["train"]) == 6
