"""Decode an image file to its stored form: upright 8-bit RGB, resized once.

Images that are not plain 8-bit RGB are treated as follows:

- greyscale, palette, bilevel and YCbCr images are converted; CMYK as Pillow does it (Adobe's inverted kind included);
- 16 bits per channel are scaled to 8 (Pillow's conversion of 16-bit greyscale would clip nearly all of it to white);
  32-bit and floating-point pixels have no known range and are rejected;
- transparent images are blended with white;
- EXIF's orientation is applied, so that the stored image is upright; torchvision's loader ignores it;
- the first frame of an animation is used.

Pillow does not verify the checksums of a PNG, and fills the rest of a JPEG with grey from the first missing byte on.
Files whose end is zeros (an interrupted download, lost disk blocks) would therefore be accepted with a black or grey
part: they are rejected, as is a PNG with damaged pixels. Formats without checksums (BMP, PPM, TIFF) cannot be checked.

JPEGs are decoded at 1/2, 1/4 or 1/8 of their size (libjpeg's scaled transform, Pillow's `draft`) where that is still no
smaller than the stored form, and at full size where only a part of them is stored. Resizing is torch's antialiased
bilinear filter in integers, modelled on Pillow's: values differ by 1, rarely 2, and it takes a sixth of the time. Sizes
are computed as in torchvision.
"""

import io
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import interpolate

from attnbench.data.transforms.open_image import open_image, orientation

STORED_FORMAT_VERSION = 4
"""Part of cached files' names; increase it when the same file gives another stored form, or none."""
MAX_PIXELS = 2**26
"""Largest stored form, which takes 192 MiB. An image of 1 x 10,000 pixels would need gigabytes."""
PNG = b"\x89PNG\r\n\x1a\n"
"""Signature of a PNG file (ISO/IEC 15948, section 5.2)."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Operations that make an image upright, by EXIF's orientation; from 5 on, height and width are exchanged."""
SIDEWAYS = {TURNS[number] for number in range(5, 9)}


class DecodeError(Exception):
    """The bytes of a file cannot be decoded as an image; the message says why."""


@dataclass(frozen=True)
class StoredFormat:
    """The size of stored images.

    Attributes:
        resize: length of the shorter side in pixels, or of both sides if stretched.
        stretch: resize both sides, whatever the aspect ratio.
        trim: rows that are cut off at the bottom of the file's image before it is resized.
    """

    resize: int
    stretch: bool = False
    trim: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the stored form of an image."""
        if self.stretch:
            return self.resize, self.resize
        longer = int(self.resize * max(height, width) / min(height, width))  # truncated, as torchvision's Resize does
        return (self.resize, longer) if height <= width else (longer, self.resize)


class Stored(NamedTuple):
    """A decoded image in its stored form.

    Attributes:
        pixels: (H, W, 3) uint8.
        height: height of the upright image, or of the part of it that is used, before resizing.
        width: its width, likewise.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Height and width, then those before resizing."""
        return (*self.pixels.shape[:2], self.height, self.width)


def decode(content: bytes, form: StoredFormat, crop: tuple[int, ...] | None = None) -> Stored:
    """Decode and resize one image.

    Args:
        content: the bytes of the file.
        form: the size of the result.
        crop: left, top, right and bottom of the part to use, in pixels of the upright image and clipped at its borders;
            None for the whole image.

    Raises:
        DecodeError: the image cannot be decoded.
    """
    if not content:
        raise DecodeError("the file is empty")
    _require_whole(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about unusual metadata and large images
        try:
            return _decode(content, form) if crop is None else _decode_part(content, form, crop)
        except UnidentifiedImageError:
            raise DecodeError("not an image of a known format") from None
        except DecodeError:
            raise
        except Exception as error:  # Pillow's decoders raise SyntaxError, struct.error, …
            raise DecodeError(str(error) or type(error).__name__) from error


def _decode(content: bytes, form: StoredFormat) -> Stored:
    with open_image(io.BytesIO(content)) as image:
        width, whole = image.size
        height = whole - form.trim
        if height < 1:
            raise DecodeError(f"it has {whole} rows, of which {form.trim} are to be cut off")
        rows, columns = _stored_size(form, height, width)
        image.draft(None, (columns, math.ceil(rows * whole / height)))
        image.load()
        turn = TURNS.get(orientation(image))
        kept = to_rgb(image)
        if form.trim:
            kept = kept.crop((0, 0, image.width, image.height * height // whole))
        stored = resized_image(kept, rows, columns)
    if turn is None:
        return Stored(stored, height, width)
    upright = np.asarray(Image.fromarray(stored).transpose(turn))
    return Stored(upright, width, height) if turn in SIDEWAYS else Stored(upright, height, width)


def _decode_part(content: bytes, form: StoredFormat, crop: tuple[int, ...]) -> Stored:
    """Decode a part of an image, at full size because the part may be small."""
    with open_image(io.BytesIO(content)) as image:
        image.load()
        turn = TURNS.get(orientation(image))
        whole = to_rgb(image)
    upright = whole if turn is None else whole.transpose(turn)
    left, top = max(0, crop[0]), max(0, crop[1])
    right, bottom = min(upright.width, crop[2]), min(upright.height, crop[3])
    if left >= right or top >= bottom:
        raise DecodeError(
            f"the box {', '.join(map(str, crop))} holds none of its {upright.width}x{upright.height} pixels"
        )
    rows, columns = _stored_size(form, bottom - top, right - left)
    part = resized_image(upright.crop((left, top, right, bottom)), rows, columns)
    return Stored(part, bottom - top, right - left)


def _stored_size(form: StoredFormat, height: int, width: int) -> tuple[int, int]:
    """Return height and width of the stored form. Raises `DecodeError` if it would be too large."""
    rows, columns = form.size(height, width)
    if rows * columns > MAX_PIXELS:
        raise DecodeError(f"too narrow: its {width}x{height} pixels would be stored as {columns:,}x{rows:,}")
    return rows, columns


def _require_whole(content: bytes) -> None:
    """Raise `DecodeError` for a file that Pillow would silently decode with a black or grey part."""
    if content.startswith(PNG):
        _require_checksums(content)
    jpeg_with_zeros = content.startswith(b"\xff\xd8") and content.endswith(bytes(64))
    # a truncated image has no end marker after its last scan; some cameras add zeros after the marker
    if jpeg_with_zeros and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise DecodeError("truncated: zeros take the place of its end")


def _require_checksums(content: bytes) -> None:
    """Raise `DecodeError` for wrong checksums of a PNG's pixels. Other damage is found by Pillow."""
    place = len(PNG)
    while place + 12 <= len(content):
        (length,), kind = struct.unpack_from(">I", content, place), content[place + 4 : place + 8]
        end = place + 8 + length
        if kind == b"IEND" or end + 4 > len(content):
            return
        checksum = struct.unpack_from(">I", content, end)[0]
        if not kind.isalpha() or (kind == b"IDAT" and checksum != zlib.crc32(content[place + 4 : end])):
            raise DecodeError(f"damaged at byte {place:,}: wrong checksum of pixels")
        place = end + 4


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize an image (H, W, 3) uint8 to (height, width, 3); return it unchanged if it has that size."""
    if tuple(pixels.shape[:2]) == (height, width):
        return pixels
    planes = pixels[None].permute(0, 3, 1, 2)  # channels_last, for which torch has a fast implementation
    return interpolate(planes, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0)


def resized_image(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """Resize an RGB image, and return its pixels (height, width, 3)."""
    pixels = torch.from_numpy(np.array(image))  # a copy, because torch needs writable memory
    return np.ascontiguousarray(resized(pixels, height, width).numpy())


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to three channels of 8 bits. Raises `DecodeError` for pixels of unknown range."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        values = np.asarray(image).astype(np.float32) / 257  # 65535 becomes 255
        return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise DecodeError(f"pixels of mode {image.mode} have no known range")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB")
