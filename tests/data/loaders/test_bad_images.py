"""Images that cannot be decoded: named, or left out and counted."""

from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.errors import UserError
from tests.data.loaders.conftest import same
from tests.data.pictures import truncate


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_ends_the_epoch_by_name(cache: str, workers: int, loader: Any, root: Path) -> None:
    path = truncate(root / "train" / "bee" / "image5.jpg")
    with pytest.raises(UserError) as caught:
        list(loader(f"data.cache={cache}", f"data.workers={workers}").epoch())
    message = str(caught.value)
    assert f"{path}: cannot be decoded: " in message
    assert "data.on_bad_image=skip" in message
    assert "\n" not in message


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_bad_images_are_left_out_and_counted(
    cache: str, loader: Any, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = {truncate(root / "train" / "bee" / "image5.jpg"), root / "train" / "cat" / "image7.jpg"}
    (root / "train" / "cat" / "image7.jpg").write_bytes(b"")
    options = ("data.on_bad_image=skip", f"data.cache={cache}", "data.batch_size=25", "data.workers=1")
    made = loader(*options)
    assert (made.count, made.skipped, made.images) == (73, 2, 73)
    assert all(str(path) in caplog.messages[-1] for path in bad)
    images, labels = zip(*made.epoch(0), strict=True)
    assert [len(batch) for batch in labels] == [25, 25, 23]
    assert torch.bincount(torch.cat(labels)).tolist() == [25, 24, 24]
    paths = sorted((root / "train").glob("*/*"))
    assert made.indices().tolist() == [index for index, path in enumerate(paths) if path not in bad]
    # no image is black, or what else may stand for one that is not there
    assert min(image.std() for batch in images for image in batch) > 0.01
    again = loader(*options)
    assert same(list(again.epoch(0)), list(zip(images, labels, strict=True)))
    if cache != "disk":
        assert again.workers.images == 73 + 2  # only the bad ones were tried again


def test_an_image_that_was_repaired_is_taken_back(loader: Any, root: Path) -> None:
    path = root / "train" / "bee" / "image5.jpg"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))  # of the same size, so that the fingerprint stays
    assert loader("data.on_bad_image=skip").skipped == 1
    path.write_bytes(content)
    assert loader("data.on_bad_image=skip").skipped == 0
    path.write_bytes(bytes(len(content)))
    assert loader("data.on_bad_image=skip", "data.cache=disk").skipped == 1
    path.write_bytes(content)
    assert loader("data.on_bad_image=skip", "data.cache=disk").skipped == 0
    assert loader("data.cache=disk").skipped == 0


def test_an_image_that_went_bad_is_left_out(loader: Any, root: Path) -> None:
    assert loader("data.on_bad_image=skip").skipped == 0
    path = root / "train" / "bee" / "image5.jpg"
    path.write_bytes(bytes(path.stat().st_size))  # of the same size, so that the fingerprint stays
    made = loader("data.on_bad_image=skip")
    assert made.skipped == 1
    assert made.workers.images == 1  # only what was changed is read again
    list(made.epoch())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_list_of_bad_images_is_made_again(content: bytes, loader: Any, root: Path, own_folder: Path) -> None:
    truncate(root / "train" / "bee" / "image5.jpg")
    assert loader("data.on_bad_image=skip").skipped == 1
    (memory,) = (own_folder / "cache").glob("*.npz")
    memory.write_bytes(content)
    with pytest.warns(UserWarning, match="reading all images again"):
        assert loader("data.on_bad_image=skip").skipped == 1
    assert loader("data.on_bad_image=skip").workers.images == 1


@pytest.mark.parametrize("option", ["error", "skip"])
def test_a_deleted_file_is_never_skipped(option: str, loader: Any, root: Path) -> None:
    made = loader(f"data.on_bad_image={option}")
    (root / "train" / "ant" / "image9.jpg").unlink()
    with pytest.raises(UserError, match=r"image9\.jpg: No such file"):
        list(made.epoch())


def test_a_split_without_a_good_image_is_rejected(loader: Any, root: Path) -> None:
    for path in (root / "test").rglob("image*"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="none of the test images"):
        loader("data.on_bad_image=skip", split="test", seed=None)
