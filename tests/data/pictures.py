"""Miniature sets of image files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.splits import Split

SIZES = ((50, 40), (37, 61), (90, 41), (40, 40), (45, 80))
"""Width and height of images, in turns; some are odd, some large enough to be decoded at half their size."""


def picture(width: int, height: int, seed: int) -> Image.Image:
    """A smooth colour image, so that JPEG keeps it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_split(folder: Path, classes: Sequence[str], images: int, seed: int = 0) -> list[Path]:
    """So many images of each class, as JPEGs except for one each of greyscale, CMYK, palette and 16 bits."""
    paths: list[Path] = []
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(images):
            image = picture(*SIZES[len(paths) % len(SIZES)], seed + len(paths))
            path = folder / name / f"image{number}.jpg"
            kind = len(paths)
            if kind in (1, 2):
                image = image.convert(("L", "CMYK")[kind - 1])
            elif kind in (3, 4):
                path = path.with_suffix(".png")
                sixteen = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
                image = image.convert("P") if kind == 3 else sixteen
            image.save(path)
            paths.append(path)
    return paths


def write_folder(root: Path, images: int = 7, splits: Sequence[str] = ("train", "val", "test")) -> Path:
    """An image folder of three classes; the splits hold different images."""
    for place, split in enumerate(splits):
        write_split(root / split, ("ant", "bee", "cat"), images if split == "train" else 3, 1000 * place)
    return root


def truncate(path: Path) -> Path:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


CPU = Placement(torch.device("cpu"))


def make_loader(data: DataSet, split: Split = "train", seed: int | None = None, placement: Placement = CPU) -> Any:
    """The loader of a split, for sets without workers, which nobody has to end."""
    return LoaderFactory(data, placement).make(split, seed)


SMALL = ("data.image_size=32", "data.resize=36", "data.batch_size=8", "data.workers=0")


def folder_set(root: Path, *overrides: str) -> FileDataSet:
    """The image folder at `root`, with small settings."""
    data: Any = build_data(compose(["data=image_folder", f"data.root={root}", *SMALL, *overrides]))
    assert isinstance(data, FileDataSet)
    return data
