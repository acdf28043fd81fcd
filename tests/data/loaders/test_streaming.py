"""The streaming loader: the same images whichever process decodes them, wherever they are cached, in any order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as F

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.loaders.streaming import draws_at
from attnbench.data.sources.image_files import ImageFiles, read_classes
from attnbench.data.splits import Split
from attnbench.data.transforms.crop_params import DRAWS
from tests.data.loaders.conftest import Batches, same
from tests.data.pictures import CPU, folder_set, make_loader, picture


def test_evaluation_is_torchvisions(loader: Any, root: Path) -> None:
    """Resize the shorter side, crop the centre, normalise: on images that are not decoded at half their size."""
    for path in (root / "test").rglob("*.jpg"):
        path.unlink()
    for number, size in enumerate([(50, 40), (37, 61), (40, 40)] * 3):
        picture(*size, number).save(root / "test" / ("ant", "bee", "cat")[number // 3] / f"{number}.png")
    made = loader("data.batch_size=4", split="test", seed=None)
    images = torch.cat([images for images, _ in made.epoch()])
    assert len(images) == made.count == 11  # two PNGs of the fixture are left
    for image, path in zip(images, (made.files.path(member) for member in made.members), strict=True):
        opened = Image.open(path)
        if opened.mode in ("RGB", "P"):
            resized = F.center_crop(F.resize(opened.convert("RGB"), 36), [32, 32])
            expected = F.normalize(F.to_tensor(resized), made.data.mean, made.data.std)
            assert torch.allclose(image, expected, atol=2.01 / 255 / min(made.data.std))


@pytest.mark.parametrize("crop", ["random", "random_resized", "center"])
def test_workers_and_caches_change_nothing(crop: str, loader: Any) -> None:
    def batches(*overrides: str) -> Batches:
        made = loader(f"data.train_crop={crop}", "data.batch_size=40", *overrides)
        return [batch for number in (0, 1, 0) for batch in made.epoch(number)]

    plain = batches()
    assert len(plain) == 6
    assert not torch.equal(plain[0][0], plain[2][0])
    for overrides in (
        ("data.workers=2",),
        ("data.workers=1", "data.cache=ram"),
        ("data.cache=ram",),
        ("data.cache=disk", "data.workers=2"),
        ("data.cache=disk",),
    ):
        assert same(batches(*overrides), plain), overrides


@pytest.mark.parametrize("overrides", [(), ("data.workers=2",), ("data.cache=ram",), ("data.cache=disk",)])
def test_batches_can_be_requested_in_any_order(overrides: tuple[str, ...], loader: Any) -> None:
    forward = list(loader().epoch(3))
    epoch = loader(*overrides).epoch(3)
    for number in (4, 5, 6, 0, 1, 9, 2, 2):
        assert same([epoch.batch(number)], [forward[number]])


def test_two_epochs_may_take_turns(loader: Any, root: Path, factories: list[LoaderFactory]) -> None:
    expected = [list(loader(split=split, seed=None).epoch()) for split in ("train", "test")]
    factories.append(LoaderFactory(folder_set(root, "data.workers=2"), CPU))
    epochs = [factories[-1].make(split).epoch() for split in ("train", "test")]
    for number in (0, 1):
        for epoch, batches in zip(epochs, expected, strict=True):
            assert same([epoch.batch(number)], [batches[number]])


def test_every_image_once_an_epoch_in_an_order_of_its_own(loader: Any) -> None:
    made = loader("data.batch_size=25")
    orders = [made.epoch(number).order.tolist() for number in (0, 1, 0)]
    assert sorted(orders[0]) == list(range(75))
    assert orders[0] == orders[2] != orders[1]
    labels = torch.cat([labels for _, labels in made.epoch(0)])
    assert labels.tolist() == [made.files.labels[made.members[place]] for place in orders[0]]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_read_disjoint_parts(world: int, loader: Any) -> None:
    whole = loader("data.batch_size=10")
    parts = [
        loader("data.batch_size=10", placement=Placement(torch.device("cpu"), rank=rank, world=world))
        for rank in range(world)
    ]
    epochs, expected = [part.epoch(2) for part in parts], whole.epoch(2)
    for number in range(len(parts[0])):
        together = [epoch.batch(number) for epoch in epochs]
        images, labels = expected.batch(number)
        assert sum(len(part) for _, part in together) == len(labels) == expected.size(number)
        for rank, (mine, own_labels) in enumerate(together):
            assert torch.equal(own_labels, labels[rank::world])
            assert torch.allclose(mine, images[rank::world], atol=1e-4)  # matrix products of other sizes
    assert sum(part.workers.images for part in parts) == parts[0].images  # none is decoded twice


def test_a_process_without_a_share_gets_an_empty_batch(loader: Any) -> None:
    placement = Placement(torch.device("cpu"), rank=3, world=4)
    epoch = loader("data.batch_size=8", split="test", seed=None, placement=placement).epoch()
    images, labels = epoch.batch(1)  # nine images: one is left
    assert images.shape == (0, 3, 32, 32)
    assert len(labels) == 0


@pytest.mark.parametrize("channels_last", [True, False])
def test_layout_and_precision(channels_last: bool, loader: Any) -> None:
    images, _ = loader(placement=Placement(torch.device("cpu"), torch.bfloat16, channels_last)).epoch().batch(0)
    assert images.dtype == torch.bfloat16
    assert images.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert images.is_contiguous() != channels_last


def test_draws_depend_on_the_position_only() -> None:
    whole = draws_at(7, 0, 50)
    assert whole.shape == (50, DRAWS)
    assert all(np.array_equal(draws_at(7, start, start + 9), whole[start : start + 9]) for start in (0, 1, 13, 41))
    assert len(np.unique(whole)) == whole.size
    assert not np.isin(draws_at(8, 0, 50), whole).any()


class Marked(FileDataSet):
    """Black images, each with a white rectangle that its box says."""

    name = "marked"
    classes = ("ant", "bee", "cat")

    def check_layout(self) -> None:
        """Always there."""

    def files(self, split: Split) -> ImageFiles:
        if split != "train":
            return ImageFiles.empty(self.root)
        found = read_classes(self.root, "train", self.classes)
        generator = np.random.default_rng(1)
        boxes = []
        for index in range(len(found)):
            width, height = (60, 44) if index % 2 else (50, 75)
            left, top = generator.integers(0, 20, 2)
            box = (left, top, left + generator.integers(12, 24), top + generator.integers(12, 24))
            pixels = np.zeros((height, width, 3), np.uint8)
            pixels[box[1] : box[3], box[0] : box[2]] = 255
            Image.fromarray(pixels).save(Path(found.path(index)).with_suffix(".png"))
            boxes.append(box)
        paths = np.array([path.replace(b".jpg", b".png") for path in found.paths])
        return ImageFiles(found.root, paths, found.labels, np.array(boxes, np.float32))


@pytest.mark.parametrize("crop", ["random", "random_resized", "center"])
@pytest.mark.parametrize("seed", [0, None])
def test_boxes_go_with_their_images(crop: str, seed: int | None, root: Path) -> None:
    data = Marked(
        str(root), 16, 0, image_size=48, resize=64, stretch=False, train_crop=crop, flip=True, mean=[0.0] * 3,
        std=[1.0] * 3, workers=0,
    )  # fmt: skip
    sample = make_loader(data, "train", seed).epoch(1).sample(2)
    assert sample.boxes is not None
    assert sample.boxes.shape == (16, 4)
    for image, (left, top, right, bottom) in zip(sample.images[:, 0], sample.boxes.tolist(), strict=True):
        white = image > 0.5
        expected = max(0, right - left) * max(0, bottom - top)
        assert abs(float(white.sum()) - expected) <= 0.12 * expected + 2 * (right - left + bottom - top) * 0.6 + 4
        if white.any() and expected > 60:
            rows, columns = white.nonzero().T
            found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            for edge, at in zip(found, (left, top, right, bottom), strict=True):
                assert abs(edge.item() - at) <= 1.5
