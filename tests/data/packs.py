"""Image folders as webdataset's tar files."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.file_dataset import FileDataSet
from tests.data.pictures import SMALL

CLASSES = ("ant", "bee", "cat")
Members = Sequence[tuple[str, bytes]]


def packed_set(name: str, root: Path, *overrides: str) -> FileDataSet:
    """The set at `root`, with small settings."""
    data: Any = build_data(compose([f"data={name}", f"data.root={root}", *SMALL, *overrides]))
    assert isinstance(data, FileDataSet)
    return data


def listed(folder: Path, split: str) -> list[tuple[Path, int]]:
    """Images of an image folder with their classes' numbers, in its order."""
    return [(path, label) for label, name in enumerate(CLASSES) for path in sorted((folder / split / name).iterdir())]


def write_tar(path: Path, members: Members, mode: Any = "w", form: int = tarfile.USTAR_FORMAT) -> Path:
    """A tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=form) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def samples(images: Sequence[tuple[Path, int]], first: int = 0, label: str = "cls") -> list[tuple[str, bytes]]:
    """Members of a tar file: images, and labels as numbers in `.cls` or as names in a field of `.json`."""
    members = []
    for number, (path, place) in enumerate(images, first):
        text = str(place) if label == "cls" else json.dumps({"id": number, label: CLASSES[place]})
        members += [(f"{number:04d}.{'cls' if label == 'cls' else 'json'}", text.encode())]
        members += [(f"{number:04d}{path.suffix}", path.read_bytes())]
    return members


def write_shards(
    folder: Path, root: Path, splits: Sequence[str] = ("train", "val", "test"), label: str = "cls", below: bool = False
) -> Path:
    """An image folder as tar files of eight samples; below: in a folder for each split."""
    for split in splits:
        images = listed(folder, split)
        for shard, first in enumerate(range(0, len(images), 8)):
            name = f"{split}/{shard:06d}.tar" if below else f"{split}-{shard:06d}.tar"
            write_tar(root / name, samples(images[first : first + 8], first, label))
    return root
