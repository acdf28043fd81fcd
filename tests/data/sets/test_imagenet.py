"""ImageNet's classes are its WordNet ids: a further folder is refused, as it would shift the labels after it."""

import re
from pathlib import Path

import pytest

from attnbench.errors import UserError
from tests.data.packs import packed_set


@pytest.fixture
def root(own_folder: Path) -> Path:
    """All of ImageNet's classes, with one image in each of both folders."""
    for split in ("train", "val"):
        for label in range(1000):
            folder = own_folder / split / f"n{label:08d}"
            folder.mkdir(parents=True)
            (folder / "0.JPEG").write_bytes(b"")
    return own_folder


@pytest.mark.parametrize("split", ["train", "val"])
def test_folders_that_are_no_classes_are_refused(split: str, root: Path) -> None:
    packed_set("imagenet", root, "data.validation=0").check_available()
    for name in ("n00000003 (copy)", "old"):
        (root / split / name).mkdir()
        (root / split / name / "0.JPEG").write_bytes(b"")
    problem = f"{root / split} has folders that are no WordNet ids; remove n00000003 (copy), old"
    with pytest.raises(UserError, match=re.escape(f"data=imagenet: {problem}")):
        packed_set("imagenet", root, "data.validation=0").check_available()
