"""Chosen images are those that loaders give, with boxes in the network's pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.chosen import choose_images, denormalised, normalised, read_image_files, split_size
from attnbench.data.loaders.make import LoaderFactory
from attnbench.errors import UserError
from tests.data.pictures import picture
from tests.data.published_sets import write


def loaded(data: object, split: str) -> torch.Tensor:
    factory = LoaderFactory(data, Placement(torch.device("cpu")))  # type: ignore[arg-type]
    try:
        loader = factory.make(split)  # type: ignore[arg-type]
        return torch.cat([images for images, _ in loader.epoch()])
    finally:
        factory.close()


def test_images_in_memory_are_the_loaders() -> None:
    data = build_data(compose(["data=cluttered_digits", "data.test_images=20", "data.canvas=32"]))
    numbers = np.array([3, 11, 19])
    chosen = choose_images(data, "test", numbers)
    torch.testing.assert_close(chosen.images, loaded(data, "test")[numbers], atol=1e-5, rtol=1e-5)
    arrays = data.load("test")
    assert chosen.labels.tolist() == arrays.labels[numbers].tolist()
    assert chosen.boxes is not None
    assert arrays.boxes is not None
    assert chosen.boxes.tolist() == arrays.boxes[numbers].tolist()
    assert chosen.names == ("3", "11", "19")
    pixels = torch.from_numpy(arrays.images[numbers]).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(denormalised(chosen.images, data), pixels, atol=1e-6, rtol=0)


def test_images_in_files_are_the_loaders_and_boxes_move_with_the_crop(own_folder: Path) -> None:
    write("tiny_imagenet", own_folder)
    words = ["data=tiny_imagenet", f"data.root={own_folder}", "data.image_size=48", "data.resize=64", "data.workers=0"]
    data = build_data(compose(words))
    assert split_size(data, "test") == 6
    chosen = choose_images(data, "test", np.array([1, 5]))
    torch.testing.assert_close(chosen.images, loaded(data, "test")[[1, 5]], atol=1e-5, rtol=1e-5)
    assert chosen.boxes is not None
    left, top, right, bottom = 5, 32, 45, 63  # of test image 5, in its 64 pixels; the crop takes 8 off each side
    assert chosen.boxes[1].tolist() == [max(left - 8, 0), top - 8, right - 8, min(bottom - 8, 48)]
    assert chosen.names == ("1", "5")


def test_any_file_is_read_as_a_test_image(own_folder: Path) -> None:
    picture(50, 40, 0).save(own_folder / "wide.png")
    grey = build_data(compose(["data=cluttered_digits"]))
    found = read_image_files(grey, [own_folder / "wide.png"])
    assert found.images.shape == (1, 1, 24, 24)
    assert (found.labels.tolist(), found.boxes, found.names) == ([-1], None, ("wide.png",))
    Image.new("RGB", (24, 24), (200, 200, 200)).save(own_folder / "plain.png")
    plain = read_image_files(grey, [own_folder / "plain.png"]).images
    torch.testing.assert_close(plain, normalised(np.full((1, 24, 24, 1), 200, np.uint8), grey))


def test_files_that_are_no_images_are_named(own_folder: Path) -> None:
    data = build_data(compose(["data=cluttered_digits"]))
    with pytest.raises(UserError, match=r"none.png: cannot be read"):
        read_image_files(data, [own_folder / "none.png"])
    (own_folder / "text.png").write_text("no image")
    with pytest.raises(UserError, match=r"text.png: cannot be decoded"):
        read_image_files(data, [own_folder / "text.png"])
