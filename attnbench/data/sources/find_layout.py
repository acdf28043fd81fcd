"""Find class folders that are further down than expected, to point to them in a message."""

import os
from collections import deque
from pathlib import Path

from attnbench.data.sources.folders import folders_in, listing
from attnbench.data.sources.image_files import first_few
from attnbench.data.sources.split_names import WORDS, split_folders

DEPTH, MOST_FOLDERS = 3, 300
"""How far down, and in how many folders, class folders are searched."""


def where_classes_are(root: Path) -> str:
    """Return how to use the class folders in or below a folder that has no `train`; empty if there are none."""
    waiting = deque([root] if root.is_dir() else [])
    for _ in range(MOST_FOLDERS):
        if not waiting:
            break
        folder = waiting.popleft()
        if found := _usage(folder, root):
            return found
        if len(folder.parts) - len(root.parts) < DEPTH:
            waiting.extend(folder / name for name in folders_in(folder))
    return ""


def in_splits(folder: Path) -> bool:
    """Return whether a folder holds splits that hold class folders; otherwise `train` may be a class of its own."""
    return any(folders_in(folder / name) for name in split_folders(folder))


def _usage(folder: Path, root: Path) -> str:
    trained = [name for name in split_folders(folder) if WORDS[name.lower()] == "train"]
    if in_splits(folder):
        return f"{folder / trained[0]} is one: set data.root={folder}" if trained and folder != root else ""
    classes = [name for name in folders_in(folder) if len(listing(os.fspath(folder / name)).files)]
    if len(classes) < 2:
        return ""
    where = "" if folder == root else f"data.root={folder} "
    use = f"{where}data.test=0.2 takes them for classes and holds out a fifth of each for the test"
    return f"{folder} holds folders of images ({first_few(classes)}): {use}"
