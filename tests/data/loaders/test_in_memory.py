"""The device-resident loader against a plain one, image by image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.sources.arrays import Arrays
from attnbench.data.transforms.augmentation import Augmentation

pytestmark = pytest.mark.smoke

CPU = Placement(torch.device("cpu"))
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def arrays(count: int = 11, height: int = 6, width: int = 8) -> Arrays:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, height, width, 3)).astype(np.uint8)
    return Arrays(images, np.arange(count, dtype=np.int64))


def normalised(image: np.ndarray) -> torch.Tensor:
    pixels = (image.astype(np.float64) / 255 - MEAN) / STD
    return torch.from_numpy(pixels).permute(2, 0, 1).float()


def test_evaluation_gives_images_in_order_and_as_they_are() -> None:
    split = arrays()
    loader = InMemoryLoader(split, MEAN, STD, 4, CPU)
    batches = list(loader.epoch())
    assert [len(labels) for _, labels in batches] == [4, 4, 3]
    images = torch.cat([images for images, _ in batches])
    assert torch.allclose(images, torch.stack([normalised(image) for image in split.images]), atol=1e-5)
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(11))


@settings(max_examples=30)
@given(
    padding=st.integers(0, 3), mode=st.sampled_from(["zeros", "reflect"]), flip=st.booleans(), seed=st.integers(0, 99)
)
def test_every_training_image_is_some_crop_of_its_own(padding: int, mode: str, flip: bool, seed: int) -> None:
    split = arrays(5)
    loader = InMemoryLoader(split, MEAN, STD, 3, CPU, Augmentation(padding, mode, flip), seed)
    border = ((padding, padding), (padding, padding), (0, 0))
    numpy_mode = {"zeros": "constant", "reflect": "reflect"}[mode]
    for images, labels in loader.epoch(1):
        for image, label in zip(images, labels.tolist(), strict=True):
            padded = np.pad(split.images[label], border, mode=numpy_mode)  # type: ignore[call-overload]
            crops = [
                padded[top : top + 6, left : left + 8][:, ::step]
                for top in range(2 * padding + 1)
                for left in range(2 * padding + 1)
                for step in ((1, -1) if flip else (1,))
            ]
            assert any(torch.allclose(image, normalised(crop), atol=1e-5) for crop in crops)


def test_each_image_draws_its_own_crop_and_flip() -> None:
    split = Arrays(np.repeat(arrays(1).images, 200, axis=0), np.zeros(200, np.int64))
    loader = InMemoryLoader(split, MEAN, STD, 200, CPU, Augmentation(2, "zeros", True), 0)
    images, _ = loader.epoch().batch(0)
    assert len({image.numpy().tobytes() for image in images}) == 50  # 5 x 5 positions, flipped or not


def test_an_epoch_is_a_permutation_of_its_own() -> None:
    loader = InMemoryLoader(arrays(), MEAN, STD, 4, CPU, seed=3)
    orders = [torch.cat([labels for _, labels in loader.epoch(number)]).tolist() for number in (0, 1, 0)]
    assert sorted(orders[0]) == list(range(11))
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]
    assert (
        orders[0]
        != torch.cat([labels for _, labels in InMemoryLoader(arrays(), MEAN, STD, 4, CPU, seed=4).epoch()]).tolist()
    )


def test_batches_can_be_made_in_any_order() -> None:
    loader = InMemoryLoader(arrays(), MEAN, STD, 4, CPU, Augmentation(2, "zeros", True), 0)
    epoch = loader.epoch(2)
    forward = [epoch.batch(number)[0] for number in range(3)]
    backward = [epoch.batch(number)[0] for number in (2, 1, 0)]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


@pytest.mark.parametrize("batch_size", [4, 5, 8])
@pytest.mark.parametrize("training", [True, False])
def test_processes_read_disjoint_parts_of_every_batch(batch_size: int, training: bool) -> None:
    def make(rank: int, world: int) -> InMemoryLoader:
        placement = Placement(torch.device("cpu"), rank=rank, world=world)
        return InMemoryLoader(arrays(), MEAN, STD, batch_size, placement, seed=0 if training else None)

    whole, parts = make(0, 1), [make(rank, 3) for rank in range(3)]
    for number in range(len(parts[0])):
        together = [part.epoch().batch(number)[1].tolist() for part in parts]
        expected = whole.epoch().batch(number)[1].tolist()
        assert sorted(label for part in together for label in part) == sorted(expected)
    if not training:
        assert len(parts[0]) == len(whole)


def test_a_last_batch_too_small_to_train_on_is_left_out() -> None:
    def batches(count: int, seed: int | None, world: int = 1) -> int:
        return len(InMemoryLoader(arrays(count), MEAN, STD, 4, Placement(torch.device("cpu"), world=world), seed=seed))

    assert (batches(9, 0), batches(10, 0), batches(9, None)) == (2, 3, 3)
    assert (batches(11, 0, 2), batches(12, 0, 2)) == (2, 3)
    assert batches(1, 0) == 1
    loader = InMemoryLoader(arrays(9), MEAN, STD, 4, CPU, seed=0)
    assert loader.images == 8


@pytest.mark.parametrize("channels_last", [True, False])
def test_layout_and_precision(channels_last: bool) -> None:
    placement = Placement(torch.device("cpu"), torch.bfloat16, channels_last)
    images, _ = InMemoryLoader(arrays(), MEAN, STD, 4, placement, seed=0).epoch().batch(0)
    assert images.dtype == torch.bfloat16
    assert images.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert images.is_contiguous() != channels_last


def test_one_channel_images_do_not_pass_for_channels_last() -> None:
    split = Arrays(arrays().images[..., :1], arrays().labels)
    images, _ = InMemoryLoader(split, (0.4,), (0.2,), 4, CPU).epoch().batch(0)
    assert torch.nn.functional.conv2d(images, torch.randn(2, 1, 3, 3)).is_contiguous()


def test_images_stay_small_on_the_device() -> None:
    loader = InMemoryLoader(arrays(), MEAN, STD, 4, CPU, Augmentation(1), 0)
    assert loader.pixels.dtype == torch.uint8
    assert loader.pixels.numel() == 11 * 8 * 10 * 3
