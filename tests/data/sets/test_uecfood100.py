"""UEC FOOD-100: each box is an image, and no photo is in two splits."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as F

from attnbench.errors import UserError
from tests.data.layouts import write_text, write_uecfood100
from tests.data.pictures import make_loader
from tests.data.published_sets import paths, released


@pytest.fixture
def home(own_folder: Path) -> Path:
    """Forty photos of rice, ten of them with eels, and ten of a hamburger."""
    return write_uecfood100(own_folder, photos=40)


def food(home: Path, *overrides: str) -> Any:
    return released("uecfood100", home, *overrides)


def test_each_box_is_an_image(home: Path) -> None:
    data = food(home)
    assert data.classes == ("rice", "eels on rice", "hamburger")
    split = {name: data.files(name) for name in ("train", "test")}
    assert sum(map(len, split.values())) == 60
    assert np.bincount(split["test"].labels).tolist() == [8, 2, 2]  # a fifth of each, rounded up
    expected = {0: [0, 0, 20, 30], 1: [20, 0, 40, 30], 2: [5, 5, 45, 35]}
    for files in split.values():
        for label, path, crop in zip(files.labels.tolist(), paths(files), files.crops.tolist(), strict=True):
            assert path.startswith(("1/", "2/", "17/")[label])
            assert crop == expected[label]


def photos(data: Any, split: str) -> set[str]:
    """Names of a split's photos, whichever folder they are in."""
    source, members = data.members(split)
    listed = paths(data.files(source))
    return {os.path.basename(listed[member]) for member in members}  # noqa: PTH119


def test_no_photo_is_in_two_splits(home: Path) -> None:
    data = food(home, "data.validation=12")
    sides = {split: photos(data, split) for split in data.splits}
    assert list(sides) == ["train", "validation", "test"]
    assert sum(map(len, sides.values())) == len(set.union(*sides.values())) == 50
    assert np.bincount(data.load("validation").labels).tolist() == [4, 4, 4]


def test_the_split_is_always_the_same(home: Path) -> None:
    assert paths(food(home).files("test")) == paths(food(home, "data.validation=3", "data.resize=20").files("test"))


def reference(home: Path, path: str, crop: list[int]) -> Image.Image:
    """The part of a photo, and then torchvision's resizing and central crop."""
    left, top, right, bottom = crop
    part = Image.open(home / path).crop((left, top, min(right, 40), min(bottom, 30)))  # of a photo of 40x30
    return F.center_crop(F.resize(part, 16), [16, 16])


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_the_box_is_the_image(home: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches distinguish boxes in the same photo."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(home / "cache"))
    for folder, box in (("1", "0 0 20 30"), ("2", "20 0 40 30")):
        # a second box in each photo
        lines = [line for number in range(0, 40, 4) for line in (f"{number} {box}", f"{number} 10 5 36 30")]
        write_text(home / folder / "bb_info.txt", ["img x1 y1 x2 y2", *lines])
    data = food(home, f"data.cache={cache}")
    files = data.files("train")
    made = make_loader(data)
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    for _ in range(2):
        seen = torch.cat([images for images, _ in made.epoch()]) * std + mean
        for image, path, crop in zip(seen, paths(files), files.crops.tolist(), strict=True):
            assert torch.allclose(image, F.to_tensor(reference(home, path, crop)), atol=2.01 / 255)
    expected = np.asarray(reference(home, paths(files)[3], files.crops[3].tolist())).astype(int)
    assert np.abs(data.load("train").images[3] - expected).max() <= 2  # roundings add up


def test_boxes_are_part_of_the_fingerprint(home: Path) -> None:
    before = food(home).fingerprint()
    lines = (home / "1" / "bb_info.txt").read_text().splitlines()
    write_text(home / "1" / "bb_info.txt", [*lines[:-1], lines[-1].replace("20", "19")])
    assert food(home).fingerprint() != before


def test_a_box_beside_its_photo_is_a_bad_image(home: Path) -> None:
    write_text(home / "2" / "bb_info.txt", ["img x1 y1 x2 y2", "4 40 0 60 30", "8 0 9 9 9", "0 0 0 20 30"])
    write_text(home / "1" / "bb_info.txt", ["img x1 y1 x2 y2", *(f"{number} 0 0 20 30" for number in range(12))])
    expected = r"2/[48]\.jpg: cannot be decoded: the box .* holds none of its 40x30 pixels; data.on_bad_image=skip"
    with pytest.raises(UserError, match=expected):
        [food(home).load(split) for split in ("train", "test")]  # type: ignore[arg-type, unused-ignore]
    data = food(home, "data.on_bad_image=skip")
    assert sum(len(data.load(split)) for split in ("train", "test")) == 12 + 1 + 10
