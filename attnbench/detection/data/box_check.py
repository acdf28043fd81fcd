"""Check the boxes that annotation files hold; an error names the file and the object."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from attnbench.data.sources.label_files import LabelFileError


class Annotation(NamedTuple):
    """An object as a file has it.

    Attributes:
        where: what locates it in its file, for messages.
        box: left, top, right and bottom edge in pixels, the last two not included.
        label: from 0.
        crowd: see `ImageObjects`.
        difficult: likewise.
    """

    where: str
    box: Sequence[float]
    label: int
    crowd: bool = False
    difficult: bool = False


def within(path: Path, found: Annotation, width: int, height: int) -> Annotation | None:
    """Return an object with its box clipped at the image's borders, or None if the box is empty.

    The published sets hold a few boxes without area, and many that end a fraction of a pixel beyond the image.

    Raises:
        LabelFileError: an edge is no number, edges are reversed, or the whole box is outside the image.
    """
    left, top, right, bottom = found.box
    shown = ", ".join(f"{edge:g}" for edge in found.box)
    if not all(map(math.isfinite, found.box)) or right < left or bottom < top:
        raise LabelFileError(path, f"{found.where}: the box {shown} has reversed edges")
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise LabelFileError(path, f"{found.where}: the box {shown} is outside the image of {width}x{height} pixels")
    box = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return found._replace(box=box) if box[2] > box[0] and box[3] > box[1] else None
