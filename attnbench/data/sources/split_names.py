"""Assign the folders or files of a user's own set to splits, by their names."""

import re
from collections.abc import Collection
from pathlib import Path

from attnbench.data.sources.folders import FOLDER, IMAGE, NO_SPLIT, extension_of, folders_in, is_hidden, kind_of
from attnbench.data.sources.image_files import first_few
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.splits import Split
from attnbench.errors import UserError

FIRST_WORDS: dict[str, Split] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
WORDS: dict[str, Split] = {
    **FIRST_WORDS,
    **dict.fromkeys(("training",), "train"),
    **dict.fromkeys(("valid", "dev"), "validation"),
    **dict.fromkeys(("testing", "eval", "evaluation"), "test"),
}
"""Splits by the words for them, in small letters, as Hugging Face's `datasets` has them (`SPLIT_KEYWORDS`)."""
PART = re.compile(r"(?P<set>.*-)(?P<number>\d+)-of-(?P<count>\d+)")
"""A file name without extension that says how many parts there are."""


def roles(names: Collection[str], data: str, root: Path, tested: bool = False) -> dict[Split, str]:
    """Return which of the names found on disk is each split; other names are ignored.

    Args:
        names: of the folders or files.
        data: the set's name, for messages.
        root: its folder, for messages.
        tested: whether test images come from elsewhere. Otherwise the validation split (`val`, `dev`, …) is the test
            split if there is no other.

    Raises:
        UserError: two names are of the same split.
    """
    name_of: dict[Split, str] = {}
    for name in names:
        split = WORDS.get(name.lower())
        if split is not None and name_of.setdefault(split, name) != name:
            raise UserError(f"data={data}: {root} holds both {name_of[split]} and {name}; keep one")
    if not tested and "test" not in name_of and "validation" in name_of:
        name_of["test"] = name_of.pop("validation")
    return {split: name_of[split] for split in ("train", "test", "validation") if split in name_of}


def split_files(root: Path, suffix: str, data: str) -> dict[str, list[Path]]:
    """Return the files of each split, sorted, by the split's name on disk.

    They have it as a word in their names (`train-000.tar`, `birds_val.tar`), or are in a folder of that name.

    Raises:
        UserError: a split has files of both kinds, or parts are missing.
    """
    files: dict[str, list[Path]] = {}
    for path in _with_suffix(root, suffix):
        words = words_of(path)
        if len(words) == 1:
            files.setdefault(min(words), []).append(path)
    for name in split_folders(root):
        below, word = _with_suffix(root / name, suffix), name.lower()
        if below and word in files:
            raise UserError(f"data={data}: {files[word][0]} and {below[0]} both belong to {word}; keep one of the two")
        if below:
            files[word] = below
    for paths in files.values():
        _require_all_parts(paths, data)
    return files


def split_folders(root: Path) -> list[str]:
    """Return the names of the folders that are called like splits."""
    return [name for name in folders_in(root) if name.lower() in WORDS] if root.is_dir() else []


def _with_suffix(folder: Path, suffix: str) -> list[Path]:
    """Return the regular files in a folder whose names end so, sorted."""
    if not folder.is_dir():
        return []
    paths = (path for path in folder.iterdir() if path.name.lower().endswith(suffix) and not is_hidden(path.name))
    return sorted(path for path in paths if path.is_file())


def words_of(path: Path) -> set[str]:
    """Return the names of splits in a file's name: the usual ones if there are any, else the others."""
    words = set(re.split(r"[-_.]", path.name.lower()))
    return words & set(FIRST_WORDS) or words & set(WORDS)


def unused_files(root: Path, used: Collection[Path], suffix: str) -> LeftOut:
    """Count what is not used in a folder and in the folders of its splits, by reason."""
    left_out, known = LeftOut(), {*used, *(path.parent for path in used)}
    for folder in {root, *(path.parent for path in used if root in path.parents)}:
        for path in folder.iterdir():
            if path not in known:
                kind = extension_of(path.name) if kind_of(path) == IMAGE else kind_of(path)
                left_out.add(NO_SPLIT if kind in (FOLDER, suffix) else kind, [path.relative_to(root).as_posix()])
    return left_out


def _require_all_parts(paths: list[Path], data: str) -> None:
    """Raise `UserError` unless all the parts that file names count (`-00001-of-00005`) are on disk."""
    matches = [match for path in paths if (match := PART.fullmatch(path.stem))]
    for match in matches:
        present = {int(other["number"]) for other in matches if other["set"] == match["set"]}
        missing = [str(number) for number in range(int(match["count"])) if number not in present]
        if missing:
            problem = f"of {match['count']} parts, counted from 0, these are missing: {first_few(missing)}"
            raise UserError(f"data={data}: {paths[0].parent}/{match['set']}*: {problem}")
