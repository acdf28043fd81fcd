"""CIFAR through torchvision's own reader, on miniature files and, slow, on the real ones."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.errors import UserError

PER_BATCH = 20


def write(path: Path, content: dict[str, object]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def miniature(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 with few images: torchvision's own code reads it, with the miniature's checksums."""
    folder, generator = own_folder / "sets" / "cifar-10-batches-py", np.random.default_rng(0)

    def batch(name: str) -> list[str]:
        content = {"data": generator.integers(0, 256, (PER_BATCH, 3072), np.uint8), "labels": list(range(10)) * 2}
        return [name, write(folder / name, content)]

    train = [batch(f"data_batch_{number}") for number in range(1, 6)]
    test = [batch("test_batch")]
    names = list(datasets.CIFAR10.meta.items())
    digest = write(folder / "batches.meta", {"label_names": [f"class{number}" for number in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", test)
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**dict(names), "md5": digest})
    return own_folder / "sets"


def test_reads_torchvisions_layout(miniature: Path) -> None:
    data = build_data(compose(["data=cifar10", f"data.root={miniature}", "data.validation=10"]))
    data.check_available()
    train, validation, test = (data.load(split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (90, 10, 20)
    assert train.images.shape[1:] == (32, 32, 3)
    assert np.bincount(validation.labels).tolist() == [1] * 10


def test_fewer_training_images_are_balanced_and_always_the_same(miniature: Path) -> None:
    few = ["data=cifar10", f"data.root={miniature}", "data.train_images=40", "data.validation=10"]
    data, again = build_data(compose(few)), build_data(compose([*few, "seed=1"]))
    train, validation = data.load("train"), data.load("validation")
    assert np.bincount(train.labels).tolist() == [3] * 10
    assert np.bincount(validation.labels).tolist() == [1] * 10
    assert len(data.load("test")) == 20
    assert np.array_equal(train.images, again.load("train").images)
    everything = build_data(compose([*few[:2], "data.validation=0"])).load("train").images.reshape(100, -1)
    used = np.concatenate([train.images, validation.images]).reshape(40, -1)
    assert len({row.tobytes() for row in used} & {row.tobytes() for row in everything}) == 40


@pytest.mark.parametrize("number", [0, -1, 50_001])
def test_an_impossible_number_of_training_images_is_rejected(number: int) -> None:
    with pytest.raises(UserError, match=r"data\.train_images.*must be all, or from 1 to 50000"):
        build_data(compose(["data=cifar10", "data.validation=0", f"data.train_images={number}"]))


def test_files_that_are_damaged_are_named(miniature: Path) -> None:
    (miniature / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"broken")
    data = build_data(compose(["data=cifar10", f"data.root={miniature}"]))
    data.check_available()
    with pytest.raises(UserError, match="is incomplete or damaged"):
        data.load("train")


@pytest.mark.parametrize(("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")])
def test_a_missing_set_says_what_where_and_how(name: str, folder: str, own_folder: Path) -> None:
    data = build_data(compose([f"data={name}", "data.root=nowhere"]))
    with pytest.raises(UserError) as caught:
        data.check_available()
    message = str(caught.value)
    for part in (f"data={name}", folder, str(own_folder / "nowhere"), "data.root", "data.download=true"):
        assert part in message
    assert "\n" not in message


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_the_real_sets(name: str, classes: int, real_data: str) -> None:
    data = build_data(compose([f"data={name}", f"data.root={real_data}"]))
    data.check_available()
    train, validation, test = (data.load(split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (45_000, 5_000, 10_000)
    assert np.bincount(validation.labels).tolist() == [5_000 // classes] * classes
    pixels = train.images.reshape(-1, 3) / 255
    assert np.allclose(pixels.mean(0), data.mean, atol=5e-4)
    assert np.allclose(pixels.std(0), data.std, atol=1e-3)
    kind = getattr(datasets, name.upper())
    assert tuple(kind(real_data, train=False).classes) == data.classes
