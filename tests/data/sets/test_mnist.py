"""MNIST on miniature files and, slow, on the real ones, where torchvision's reader is the reference."""

from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.dataset import DataSet
from attnbench.errors import UserError

NAMES = ("mnist", "cluttered_mnist")


def build(root: Path | str, *overrides: str, name: str = "mnist") -> DataSet:
    return build_data(compose([f"data={name}", f"data.root={root}", *overrides]))


def test_reads_torchvisions_layout(miniature_mnist: Path) -> None:
    data = build(miniature_mnist, "data.validation=20")
    data.check_available()
    train, validation, test = (data.load(split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (100, 20, 50)
    assert np.bincount(validation.labels).tolist() == [2] * 10
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    reference = datasets.MNIST(miniature_mnist, train=False)
    assert np.array_equal(test.images[..., 0], reference.data.numpy())
    assert np.array_equal(test.labels, reference.targets.numpy())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:10], lambda b: b"", lambda b: b[:-1] + b"\x0b"])
def test_files_that_are_damaged_are_named(name: str, file: str, damage: object, miniature_mnist: Path) -> None:
    """Cut short, cut in the head, empty, and one byte wrong, which torchvision does not notice."""
    assert callable(damage)
    path = miniature_mnist / "MNIST" / "raw" / file
    path.write_bytes(damage(path.read_bytes()))
    data = build(
        miniature_mnist, "data.validation=10", "data.train_images=60" if name != "mnist" else "seed=0", name=name
    )
    data.check_available()
    with pytest.raises(UserError) as caught:
        data.load("train")
    assert f"data={name}: {path}: is incomplete or damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_set_says_what_where_and_how(name: str, own_folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        build("nowhere", name=name).check_available()
    message = str(caught.value)
    for part in (f"data={name}", "MNIST/raw", str(own_folder / "nowhere"), "data.root", "data.download=true"):
        assert part in message
    assert "\n" not in message


def test_a_missing_file_is_named(miniature_mnist: Path) -> None:
    (miniature_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    for action in (build(miniature_mnist).check_available, lambda: build(miniature_mnist).load("train")):
        with pytest.raises(UserError, match="no MNIST/raw/t10k-labels-idx1-ubyte in"):
            action()


def test_present_files_are_not_downloaded(miniature_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [])  # with no server to ask, a download would fail
    assert len(build(miniature_mnist, "data.download=true").load("test")) == 50


def test_a_download_that_fails_is_one_line(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"file://{own_folder}/absent/"])
    data = build("nowhere", "data.download=true")
    data.check_available()
    with pytest.raises(UserError, match=r"data=mnist: download failed: .*train-images.*; place MNIST/raw in") as caught:
        data.load("test")
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_line(own_folder: Path) -> None:
    (own_folder / "file").write_text("in the way")
    for name in ("mnist", "cifar10"):
        with pytest.raises(UserError, match=f"data={name}: download failed: .*(Not a directory|File exists)"):
            build("file", "data.download=true", name=name).load("test")


@pytest.mark.slow
def test_the_real_set(real_data: str) -> None:
    data = build(real_data)
    data.check_available()
    train, validation, test = (data.load(split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (55_000, 5_000, 10_000)
    assert np.bincount(validation.labels).tolist() == [500] * 10
    reference = datasets.MNIST(real_data, train=True)
    pixels = reference.data.numpy() / 255
    assert (pixels.mean(), pixels.std()) == pytest.approx((data.mean[0], data.std[0]), abs=5e-5)
    whole = build(real_data, "data.validation=0").load("train")
    assert np.array_equal(whole.images[..., 0], reference.data.numpy())
    assert np.array_equal(whole.labels, reference.targets.numpy())
