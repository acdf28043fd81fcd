"""Assign the folders or files of a user's own set to splits, by their names."""

import re
from collections.abc import Collection
from pathlib import Path

from attnbench.data.sources.image_files import first_few
from attnbench.data.splits import Split
from attnbench.errors import UserError

WORDS = ("train", "val", "validation", "test")
PART = re.compile(r"(?P<set>.*-)(?P<number>\d+)-of-(?P<count>\d+)")
"""A file name without extension that says how many parts there are."""


def roles(words: Collection[str], name: str, root: Path) -> dict[Split, str]:
    """Return which of the words found on disk names each split.

    `val` (or `validation`) is the validation split if there is `test`, and the test split otherwise.

    Raises:
        UserError: both `val` and `validation` are on disk.
    """
    names = [word for word in ("val", "validation") if word in words]
    if len(names) > 1:
        raise UserError(f"data={name}: {root} holds both val and validation; keep one")
    word_of: dict[Split, str] = {"train": "train"}
    if "test" in words:
        word_of["test"] = "test"
    if names:
        word_of["validation" if "test" in word_of else "test"] = names[0]
    return word_of


def split_files(root: Path, suffix: str, name: str) -> dict[str, list[Path]]:
    """Return the files of each split, sorted, by the split's name as written on disk.

    They have it as a word in their names (`train-000.tar`, `birds_val.tar`), or are in a folder of that name.

    Raises:
        UserError: a split has files of both kinds, or parts are missing.
    """
    files: dict[str, list[Path]] = {}
    for word in WORDS:
        named = [path for path in sorted(root.glob(f"*{suffix}")) if words_of(path) == {word}]
        below = sorted((root / word).glob(f"*{suffix}"))
        if named and below:
            raise UserError(f"data={name}: {named[0]} and {below[0]} both belong to {word}; keep one of the two")
        if named or below:
            files[word] = named or below
            _require_all_parts(files[word], name)
    return files


def words_of(path: Path) -> set[str]:
    """Return the names of splits in a file's name."""
    return set(re.split(r"[-_.]", path.name.lower())) & set(WORDS)


def _require_all_parts(paths: list[Path], name: str) -> None:
    """Raise `UserError` unless all the parts that file names count (`-00001-of-00005`) are on disk."""
    matches = [match for path in paths if (match := PART.fullmatch(path.stem))]
    for match in matches:
        present = {int(other["number"]) for other in matches if other["set"] == match["set"]}
        missing = [str(number) for number in range(int(match["count"])) if number not in present]
        if missing:
            problem = f"of {match['count']} parts, counted from 0, these are missing: {first_few(missing)}"
            raise UserError(f"data={name}: {paths[0].parent}/{match['set']}*: {problem}")
