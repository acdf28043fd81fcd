"""Open image files: the only place where the package calls Pillow's `Image.open`, and only for formats of photos.

Left to itself, Pillow goes by a file's content and knows forty formats, whatever the file is called. Some start another
program: a PostScript file called `photo.jpg` would be given to Ghostscript.
"""

from pathlib import Path
from typing import IO

from PIL import ExifTags, Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "MPO")
"""Names that Pillow has for the formats that are read; each is decoded within this process."""
Image.init()  # load all formats now, before processes are forked
_known = tuple(name for name in FORMATS if name in Image.OPEN)  # Pillow may be built without AVIF


def open_image(source: IO[bytes] | Path) -> Image.Image:
    """Open an image of one of `FORMATS`; its pixels are not read yet.

    Raises:
        UnidentifiedImageError: it is of another format.
    """
    return Image.open(source, formats=_known)


def orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 (upright) by default. Call it after loading, when Pillow has turned TIFFs."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # unreadable metadata has no orientation, and the pixels are complete
        return 1
