"""Lists of image files: torchvision's order, nothing hidden, and a digest that tells sets apart."""

import os
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import ImageFolder

from attnbench.data.sources import folders
from attnbench.data.sources.folders import images_below
from attnbench.data.sources.image_files import ImageFiles, digest, read_classes
from tests.data.pictures import picture, write_folder

CLASSES = ("ant", "bee", "cat")


@pytest.fixture
def root(own_folder: Path) -> Path:
    return write_folder(own_folder / "set")


def read(root: Path) -> ImageFiles:
    return read_classes(root, "train", CLASSES)


def test_the_order_is_torchvisions(root: Path) -> None:
    nested = root / "train" / "bee" / "Zoo" / "deep"
    nested.mkdir(parents=True)
    for name in ("ä.jpg", "B.PNG", "a b.jpeg"):
        picture(20, 20, 0).save(nested / name)
    found = read(root)
    expected = ImageFolder(str(root / "train"))
    assert [found.path(index) for index in range(len(found))] == [path for path, _ in expected.samples]
    assert found.labels.tolist() == expected.targets


def test_hidden_files_and_other_files_are_ignored(root: Path) -> None:
    before = len(read(root))
    for name in (".DS_Store", "._image.jpg", "notes.txt", "Thumbs.db"):
        (root / "train" / "ant" / name).write_bytes(b"x")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    assert len(read(root)) == before
    assert folders.folders_in(root / "train") == list(CLASSES)


def test_a_changed_folder_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[str] = []
    scan = folders._scan

    def noting(folder: str) -> folders.Listing:
        scans.append(folder)
        return scan(folder)

    monkeypatch.setattr(folders, "_scan", noting)
    folder = root / "train" / "ant"
    os.utime(folder, (1, 1))  # long ago
    before = len(images_below(str(folder)))
    assert len(images_below(str(folder))) == before
    assert len(scans) == 1
    picture(20, 20, 0).save(folder / "new.jpg")  # just now, so that its time of change tells nothing
    assert len(images_below(str(folder))) == len(images_below(str(folder))) == before + 1
    assert len(scans) == 3


def test_the_digest_tells_sets_apart(root: Path) -> None:
    start = [digest([read(root)], every) for every in (True, False)]
    assert [digest([read(root)], every) for every in (True, False)] == start
    with (root / "train" / "ant" / "image1.jpg").open("ab") as stream:
        stream.write(b"more")
    longer = [digest([read(root)], every) for every in (True, False)]
    assert longer[0] != start[0]
    assert longer[1] == start[1]  # only the sizes of first files count
    with (root / "train" / "ant" / "image0.jpg").open("ab") as stream:
        stream.write(b"more")
    assert digest([read(root)], False) != longer[1]
    (root / "train" / "ant" / "image1.jpg").rename(root / "train" / "ant" / "image9.jpg")
    renamed = [digest([read(root)], every) for every in (True, False)]
    assert not set(renamed) & {*start, *longer}


def test_the_digest_holds_labels_and_boxes(root: Path) -> None:
    found = read(root)
    boxes = np.zeros((len(found), 4), np.float32)
    other = ImageFiles(found.root, found.paths, found.labels[::-1], None)
    boxed = ImageFiles(found.root, found.paths, found.labels, boxes)
    moved = ImageFiles(found.root, found.paths, found.labels, boxes + 1)
    assert len({digest([one], True) for one in (found, other, boxed, moved)}) == 4


def test_the_digest_does_not_depend_on_the_folder(own_folder: Path) -> None:
    roots = [write_folder(own_folder / name) for name in ("here", "there")]
    assert len({digest([read(root)], True) for root in roots}) == 1


def test_the_digest_holds_crops(root: Path) -> None:
    found = read(root)
    crops = np.zeros((len(found), 4), np.int64)
    parts = [ImageFiles(root, found.paths, found.labels, None, chosen) for chosen in (None, crops, crops + 1)]
    assert len({digest([one], True) for one in parts}) == 3
    assert [one.crop(2) for one in parts] == [None, (0, 0, 0, 0), (1, 1, 1, 1)]


def test_a_deleted_file_cannot_be_read(root: Path) -> None:
    found = read(root)
    path = Path(found.path(0))
    assert found.read(0) == path.read_bytes()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        found.read(0)
