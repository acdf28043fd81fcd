"""Stored forms: every kind of file becomes upright RGB of the right size, and what is broken says so."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from torchvision import transforms

from attnbench.data.transforms.decode import DecodeError, StoredFormat, decode
from tests.data.pictures import picture, truncate

COLOUR = (200, 100, 50)
GREY = 150


def flat(mode: str) -> Image.Image:
    """A flat image of a mode, which is `COLOUR` or `GREY`."""
    colour = Image.new("RGB", (30, 20), COLOUR)
    special = {
        "L": lambda: Image.new("L", (30, 20), GREY),
        "I;16": lambda: Image.fromarray(np.full((20, 30), GREY * 257, np.uint16)),
        "LA": lambda: Image.new("RGBA", (30, 20), (*COLOUR, 255)).convert("LA"),
        "clear": lambda: Image.new("RGBA", (30, 20), (*COLOUR, 0)),
        "half": lambda: Image.new("RGBA", (30, 20), (*COLOUR, 128)),
        "P": lambda: colour.quantize(4),
        "clear palette": lambda: colour.quantize(4),
    }
    return special.get(mode, lambda: colour.convert(mode))()


WHITE = (255, 255, 255)
LUMA = (124, 124, 124)  # 0.299 R + 0.587 G + 0.114 B of the colour
KINDS = {
    ("RGB", "png"): COLOUR,
    ("RGB", "jpg"): COLOUR,
    ("RGB", "webp"): COLOUR,
    ("RGB", "ppm"): COLOUR,
    ("RGB", "tiff"): COLOUR,
    ("L", "png"): (GREY,) * 3,
    ("L", "jpg"): (GREY,) * 3,
    ("1", "png"): None,
    ("P", "png"): COLOUR,
    ("CMYK", "jpg"): COLOUR,
    ("CMYK", "tiff"): COLOUR,
    ("I;16", "png"): (GREY,) * 3,
    ("I;16", "tiff"): (GREY,) * 3,
    ("I;16", "pgm"): (GREY,) * 3,
    ("RGBA", "png"): COLOUR,
    ("LA", "png"): LUMA,
    ("clear", "png"): WHITE,
    ("half", "png"): (227, 177, 152),  # halfway between the colour and white
    ("clear palette", "png"): WHITE,
}


@pytest.mark.parametrize(("mode", "suffix"), KINDS)
def test_every_kind_becomes_rgb(mode: str, suffix: str, own_folder: Path) -> None:
    path = own_folder / f"image.{suffix}"
    image = flat(mode)
    if mode == "clear palette":
        image.save(path, transparency=image.getpixel((0, 0)))
    else:
        image.save(path)
    stored = decode(path.read_bytes(), StoredFormat(16))
    assert stored.pixels.shape == (16, 24, 3)
    assert stored.pixels.dtype == np.uint8
    assert (stored.height, stored.width) == (20, 30)
    expected = KINDS[mode, suffix]
    if expected is not None:
        assert np.abs(stored.pixels.astype(int) - expected).max() <= 5  # JPEG is not exact
    else:
        assert set(np.unique(np.asarray(flat("1").convert("RGB")))) <= {0, 255}


def test_sixteen_bits_keep_their_gradation(own_folder: Path) -> None:
    steps = np.arange(256, dtype=np.uint16) * 257
    Image.fromarray(np.tile(steps, (256, 1))).save(own_folder / "image.png")
    stored = decode((own_folder / "image.png").read_bytes(), StoredFormat(256))
    assert (stored.pixels[0] == np.arange(256)[:, None]).all()


@pytest.mark.parametrize("size", [(61, 37), (37, 61), (40, 40), (20, 90), (33, 32)])
@pytest.mark.parametrize("resize", [24, 36, 64])
def test_sizes_and_pixels_are_torchvisions(size: tuple[int, int], resize: int, own_folder: Path) -> None:
    image = picture(*size, seed=0)
    image.save(own_folder / "image.png")
    for form, expected in (
        (StoredFormat(resize), transforms.Resize(resize)(image)),
        (StoredFormat(resize, stretch=True), transforms.Resize((resize, resize))(image)),
    ):
        stored = decode((own_folder / "image.png").read_bytes(), form)
        assert form.size(image.height, image.width) == stored.pixels.shape[:2]
        assert np.abs(stored.pixels.astype(int) - np.asarray(expected)).max() <= 2  # roundings add up


@pytest.mark.parametrize("factor", [2, 4.1, 9])
def test_large_jpegs_are_decoded_small_and_look_the_same(factor: float, own_folder: Path) -> None:
    image = picture(round(80 * factor), round(64 * factor), seed=1)
    image.save(own_folder / "image.jpg", quality=95)
    stored = decode((own_folder / "image.jpg").read_bytes(), StoredFormat(64))
    whole = Image.open(own_folder / "image.jpg").resize((80, 64), Image.Resampling.BILINEAR)
    difference = np.abs(stored.pixels.astype(int) - np.asarray(whole))
    assert stored.pixels.shape == (64, 80, 3)
    assert (stored.height, stored.width) == (image.height, image.width)
    assert difference.mean() < 1.5
    assert difference.max() <= 12


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("turned", UPRIGHT)
def test_images_are_set_upright(turned: int, suffix: str, own_folder: Path) -> None:
    """What EXIF 2.3, section 4.6.4, table 4 says of each orientation, applied to the pixels as they are stored."""
    image, path = picture(48, 32, seed=2), own_folder / f"image.{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turned
    image.save(path, exif=exif, quality=100, subsampling=0)
    stored = decode(path.read_bytes(), StoredFormat(32))
    expected = UPRIGHT[turned](np.asarray(image))
    assert (stored.height, stored.width) == expected.shape[:2]
    assert stored.pixels.shape == expected.shape
    assert np.abs(stored.pixels.astype(int) - expected).mean() < 3


def test_an_orientation_that_cannot_be_read_is_none(own_folder: Path) -> None:
    picture(48, 32, 0).save(own_folder / "image.jpg", exif=b"Exif\0\0MM\0*\0\0\xff\xff garbage")
    assert decode((own_folder / "image.jpg").read_bytes(), StoredFormat(32)).pixels.shape == (32, 48, 3)


def broken(folder: Path, kind: str) -> Path:
    path = folder / ("image.png" if "png" in kind else "image.jpg")
    picture(60, 50, 0).save(path)
    if kind.startswith("truncated"):
        truncate(path)
    elif kind == "corrupt png":
        content = bytearray(path.read_bytes())
        content[60:64] = b"\xff\xff\xff\xff"
        path.write_bytes(content)
    elif kind == "huge png":
        content = bytearray(path.read_bytes())
        content[16:24] = struct.pack(">II", 60_000, 60_000)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        path.write_bytes(content)
    elif kind == "float":
        path = folder / "image.tiff"
        Image.fromarray(np.zeros((20, 20), np.float32)).save(path)
    else:
        path.write_bytes({"empty": b"", "text": b"<html>not found</html>"}[kind])
    return path


BROKEN = {
    "empty": "empty",
    "text": "not an image of a known format",
    "truncated jpg": "(?i)truncated",
    "truncated png": "(?i)truncated",
    "corrupt png": ".",
    "huge png": "pixels",
    "float": "no known range",
}


@pytest.mark.parametrize(("kind", "expected"), BROKEN.items())
def test_broken_files_are_rejected_with_a_reason(kind: str, expected: str, own_folder: Path) -> None:
    with pytest.raises(DecodeError, match=expected) as caught:
        decode(broken(own_folder, kind).read_bytes(), StoredFormat(32))
    assert "\n" not in str(caught.value)
    assert str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(("suffix", "options"), [("png", {}), ("jpg", {}), ("jpg", {"progressive": True})])
def test_no_zeros_at_the_end_pass_for_pixels(
    suffix: str, options: dict[str, Any], share: float, own_folder: Path
) -> None:
    """What a download that broke off leaves: a file of the right size, whose rest is zeros."""
    path, noise = own_folder / f"image.{suffix}", np.random.default_rng(0).integers(0, 256, (300, 200, 3))
    Image.fromarray(noise.astype(np.uint8)).save(path, **options)  # several chunks of pixels in the PNG
    content = path.read_bytes()
    kept = int(share * len(content))
    with pytest.raises(DecodeError, match=r"truncated|damaged"):
        decode(content[:kept] + bytes(len(content) - kept), StoredFormat(32))
    assert decode(content + bytes(100), StoredFormat(32)).shape == (
        48,
        32,
        300,
        200,
    )  # zeros after the end mean nothing


def test_damaged_pixels_of_a_png_are_found(own_folder: Path) -> None:
    picture(60, 50, 0).save(own_folder / "image.png", compress_level=0)
    content = bytearray((own_folder / "image.png").read_bytes())
    content[5000] ^= 255
    with pytest.raises(DecodeError, match="damaged at byte 33: "):
        decode(bytes(content), StoredFormat(32))


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("crop", [None, (0, 0, 10_000, 10_000)])
def test_a_line_does_not_fill_the_memory(size: tuple[int, int], crop: tuple[int, ...] | None, own_folder: Path) -> None:
    Image.new("RGB", size, COLOUR).save(own_folder / "image.png")
    content = (own_folder / "image.png").read_bytes()
    with pytest.raises(DecodeError, match=f"too narrow: its {size[0]}x{size[1]} pixels would be stored as "):
        decode(content, StoredFormat(256), crop)
    assert decode(content, StoredFormat(256, stretch=True), crop).pixels.shape == (256, 256, 3)
    assert decode(content, StoredFormat(8), crop).pixels.size == 3 * 8 * 80_000


def test_a_single_pixel_is_an_image(own_folder: Path) -> None:
    Image.new("RGB", (1, 1), COLOUR).save(own_folder / "image.png")
    stored = decode((own_folder / "image.png").read_bytes(), StoredFormat(16))
    assert stored.shape == (16, 16, 1, 1)
    assert (stored.pixels == COLOUR).all()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_counts(suffix: str, own_folder: Path) -> None:
    path = own_folder / f"image.{suffix}"
    first, *others = (Image.new("RGB", (30, 20), colour) for colour in (COLOUR, (0, 0, 255), (0, 255, 0)))
    first.save(path, save_all=True, append_images=others)
    assert (
        np.abs(decode(path.read_bytes(), StoredFormat(16)).pixels.astype(int) - COLOUR).max() <= 5
    )  # WebP is not exact


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_is_cut_out_of_the_upright_image(orientation: int, own_folder: Path) -> None:
    upright = picture(60, 44, 3)
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # how it lies in the file, as `Transpose`
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    stored.save(own_folder / "image.png", exif=exif)
    part = decode((own_folder / "image.png").read_bytes(), StoredFormat(16), (10, 4, 50, 40))
    assert (part.height, part.width) == (36, 40)
    reference = transforms.Resize(16)(upright.crop((10, 4, 50, 40)))
    assert np.abs(part.pixels.astype(int) - np.asarray(reference)).max() <= 2  # roundings add up


def test_a_part_of_a_jpeg_is_decoded_at_full_size(own_folder: Path) -> None:
    picture(256, 256, 4).save(own_folder / "image.jpg")
    part = decode((own_folder / "image.jpg").read_bytes(), StoredFormat(16, stretch=True), (8, 16, 136, 208))
    reference = Image.open(own_folder / "image.jpg").crop((8, 16, 136, 208)).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.abs(part.pixels.astype(int) - np.asarray(reference)).max() <= 2  # roundings add up


def test_a_part_ends_where_the_image_does(own_folder: Path) -> None:
    picture(60, 44, 5).save(own_folder / "image.png")
    content = (own_folder / "image.png").read_bytes()
    wide, inner = (decode(content, StoredFormat(16), crop) for crop in ((-9, 20, 30, 99), (0, 20, 30, 44)))
    assert wide.shape == inner.shape == (16, 20, 24, 30)
    assert (wide.pixels == inner.pixels).all()
    for outside in ((60, 0, 70, 9), (0, 9, 20, 9), (20, 0, 10, 9), (-9, -9, 0, 0)):
        with pytest.raises(DecodeError, match=r"the box .* holds none of its 60x44 pixels"):
            decode(content, StoredFormat(16), outside)
