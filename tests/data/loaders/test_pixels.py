"""Single images as a data set's test images: equal to them for its own files, and right for files of all kinds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.pixels import first_test_pixels, read_pixels
from attnbench.errors import UserError
from tests.data.pictures import folder_set, make_loader, picture, write_folder


def digits() -> DataSet:
    return build_data(compose(["data=digits"]))


def normalised(pixels: np.ndarray, data: DataSet) -> torch.Tensor:
    mean, std = torch.tensor(data.mean), torch.tensor(data.std)
    return ((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2)


def test_files_of_the_set_are_its_test_images(own_folder: Path) -> None:
    data = folder_set(write_folder(own_folder / "set"))
    files = data.listed("test")
    batch = next(iter(make_loader(data, "test").epoch()))[0]
    own = np.stack([read_pixels(Path(files.name(index)), data) for index in range(len(batch))])
    torch.testing.assert_close(normalised(own, data), batch, rtol=0, atol=1e-5)
    assert np.array_equal(first_test_pixels(data, len(batch)), own)


def test_images_in_memory_are_those_of_the_loader() -> None:
    data = digits()
    batch = next(iter(make_loader(data, "test").epoch()))[0][:5]
    torch.testing.assert_close(normalised(first_test_pixels(data, 5), data), batch, rtol=0, atol=1e-5)


def test_an_image_of_the_sets_size_is_taken_as_it_is(own_folder: Path) -> None:
    data = digits()
    own = first_test_pixels(data, 1)[0]
    Image.fromarray(own[:, :, 0]).save(own_folder / "grey.png")
    Image.fromarray(own[:, :, 0]).convert("RGB").save(own_folder / "colour.png")
    Image.fromarray(own[:, :, 0]).convert("LA").save(own_folder / "alpha.png")
    Image.fromarray(own[:, :, 0].astype(np.uint16) * 257).save(own_folder / "deep.png")
    for name in ("grey", "colour", "alpha", "deep"):
        assert np.array_equal(read_pixels(own_folder / f"{name}.png", data), own), name


def test_the_first_frame_of_an_animation_is_used(own_folder: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(own_folder / "moving.gif", save_all=True, append_images=frames[1:])
    data = folder_set(write_folder(own_folder / "set"))
    assert (read_pixels(own_folder / "moving.gif", data) == (255, 0, 0)).all()


def test_a_rotated_photo_is_upright(own_folder: Path) -> None:
    data, exif = folder_set(write_folder(own_folder / "set")), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright = picture(40, 60, 0)
    upright.save(own_folder / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(own_folder / "turned.png", exif=exif)
    turned, expected = (read_pixels(own_folder / f"{name}.png", data) for name in ("turned", "upright"))
    assert np.abs(turned.astype(int) - expected).max() <= 2  # resized before it is turned


def test_what_cannot_be_read_is_one_line(own_folder: Path) -> None:
    data = digits()
    (own_folder / "text.png").write_text("no picture")
    (own_folder / "empty.png").touch()
    for name, message in {
        "none.png": "none.png: there is no such file",
        ".": "is a folder; name image files",
        "text.png": "text.png: cannot be decoded: not an image of a known format",
        "empty.png": "empty.png: cannot be decoded: the file is empty",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            read_pixels(Path(name), data)
        assert "\n" not in str(caught.value)
