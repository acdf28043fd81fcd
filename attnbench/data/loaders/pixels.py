"""Pixels of single images as a data set's test images have them, before they are normalised."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.folders import read_regular
from attnbench.data.transforms.crop_params import center_crops
from attnbench.data.transforms.decode import DecodeError, Stored, StoredFormat, decode
from attnbench.errors import UserError

Pixels = NDArray[np.uint8]


def read_pixels(path: Path, data: DataSet) -> Pixels:
    """Read an image file as a data set reads its test images: decoded, resized and cropped.

    A set whose images come in arrays has no rule for other sizes: the shorter side becomes its image size there, and
    the central square is used. One-channel sets see a colour image's luminance.

    Args:
        path: the file, of any format that Pillow knows.
        data: the data set.

    Returns:
        (S, S, C) uint8.

    Raises:
        UserError: the file cannot be read or decoded; the message names it.
    """
    return decode_pixels(_read(path), path, data)


def decode_pixels(content: bytes, path: Path, data: DataSet) -> Pixels:
    """Decode an image file's content as `read_pixels` does. Raises `UserError`, which names the file."""
    whole = decode_whole(content, path, data).pixels
    ((left, top, width, height),) = center_crops(np.array([whole.shape[:2]], np.int64), data.image_size).windows
    return whole[top : top + height, left : left + width]


def read_whole(path: Path, data: DataSet) -> Stored:
    """Read an image file as `read_pixels` does, but uncropped: pixels are (H, W, C). Raises `UserError`."""
    return decode_whole(_read(path), path, data)


def decode_whole(content: bytes, path: Path, data: DataSet) -> Stored:
    """Decode an image file's content as `read_whole` does. Raises `UserError`, which names the file."""
    form = data.form if isinstance(data, FileDataSet) else StoredFormat(data.image_size)
    try:
        stored = decode(content, form)
    except DecodeError as error:
        raise UserError(f"{path}: cannot be decoded: {error}") from error
    if data.channels == 3:
        return stored
    return stored._replace(pixels=np.asarray(Image.fromarray(stored.pixels).convert("L"))[:, :, None])


def first_test_pixels(data: DataSet, count: int) -> Pixels:
    """Return the first test images of a set, (N, S, S, C) uint8; only these are decoded where they are in files.

    Raises:
        UserError: an image cannot be decoded, and the set does not skip such images.
    """
    if not isinstance(data, FileDataSet):
        return data.load("test").images[:count]
    source, members = data.members("test")
    found, start = data.read_members(source, members[:count])[0].images, count
    while len(found) < count and start < len(members):  # some were skipped
        more = members[start : start + count - len(found)]
        found, start = np.concatenate([found, data.read_members(source, more)[0].images]), start + len(more)
    return found


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name image files, such as {path}/*.png")
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
