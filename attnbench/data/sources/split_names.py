"""Which folders or files of a user's own set hold which split."""

import re
from collections.abc import Collection
from pathlib import Path

from attnbench.data.sources.image_files import first_of
from attnbench.data.splits import Split
from attnbench.errors import UserError

WORDS = ("train", "val", "validation", "test")
PART = re.compile(r"(?P<set>.*-)(?P<number>\d+)-of-(?P<count>\d+)")
"""The end of a file's name that says how many parts there are."""


def roles(words: Collection[str], name: str, root: Path) -> dict[Split, str]:
    """What is trained, validated and tested on, of what is there.

    Where there is `test`, `val` is the validation split; where there is none, `val` is what is tested on.
    """
    names = [word for word in ("val", "validation") if word in words]
    if len(names) > 1:
        raise UserError(f"data={name}: {root} holds both val and validation; keep one")
    found: dict[Split, str] = {"train": "train"}
    if "test" in words:
        found["test"] = "test"
    if names:
        found["validation" if "test" in found else "test"] = names[0]
    return found


def split_files(root: Path, suffix: str, name: str) -> dict[str, list[Path]]:
    """Files of each split, sorted: those with the split's name as a word of their own (`train-000.tar`,
    `birds_val.tar`), or those in a folder of that name. Raises `UserError` for both at once, and for absent parts.
    """
    found: dict[str, list[Path]] = {}
    for word in WORDS:
        named = [path for path in sorted(root.glob(f"*{suffix}")) if words_of(path) == {word}]
        below = sorted((root / word).glob(f"*{suffix}"))
        if named and below:
            raise UserError(f"data={name}: {named[0]} and {below[0]} are both of {word}; keep the one or the other")
        if named or below:
            found[word] = named or below
            _require_whole(found[word], name)
    return found


def words_of(path: Path) -> set[str]:
    """Names of splits in a file's name."""
    return set(re.split(r"[-_.]", path.name.lower())) & set(WORDS)


def _require_whole(paths: list[Path], name: str) -> None:
    """Raise `UserError` unless all of the parts are there that the files' names count."""
    matches = [match for path in paths if (match := PART.fullmatch(path.stem))]
    for match in matches:
        there = {int(other["number"]) for other in matches if other["set"] == match["set"]}
        absent = [str(number) for number in range(int(match["count"])) if number not in there]
        if absent:
            told = f"{match['count']} parts are named and {first_of(absent)} of them, counted from 0, not there"
            raise UserError(f"data={name}: {paths[0].parent}/{match['set']}*: {told}")
