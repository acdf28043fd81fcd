"""Check that boxes lie within their images: in a copy of a set whose images were cropped, they do not."""

import numpy as np

from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.left_out import warn_once
from attnbench.data.transforms.open_image import open_image, orientation

MOST_IMAGES = 500
"""Images whose sizes are read from their headers; more would take long on a network file system."""
USUAL_SHARE = 0.01
"""A few boxes of the original sets reach beyond their images."""
_checked: set[tuple[str, int]] = set()


def report_boxes_beyond(images: ImageFiles, what: str) -> None:
    """Log a warning if more than a few boxes reach beyond their images; `what` names the split.

    Looks at all images, or at `MOST_IMAGES` that are evenly distributed; once in a process.
    """
    if (what, len(images)) in _checked or not len(images):
        return
    _checked.add((what, len(images)))
    chosen = looked_at(len(images))
    beyond = [index for index in chosen if _is_beyond(images, index)]
    if len(beyond) > USUAL_SHARE * len(chosen):
        count = f"{len(beyond):,} of {len(chosen):,} images{' looked at' if len(chosen) < len(images) else ''}"
        example = images.path(beyond[0])
        warn_once(f"{what}: the boxes of {count} reach beyond the image, such as that of {example}; are these cropped?")


def looked_at(count: int) -> list[int]:
    """Return the places of all of `count` images, or of `MOST_IMAGES` that are evenly distributed."""
    return np.linspace(0, count - 1, min(count, MOST_IMAGES)).astype(np.int64).tolist()


def _is_beyond(images: ImageFiles, index: int) -> bool:
    if images.boxes is None or np.isnan(images.boxes[index]).any():
        return False
    size = upright_size(images, index)
    left, top, right, bottom = images.boxes[index].tolist()
    return size is not None and (left < 0 or top < 0 or right > size[0] or bottom > size[1])


def upright_size(images: ImageFiles, index: int) -> tuple[int, int] | None:
    """Return width and height of an image in pixels as decoded, or None if it cannot be opened: decoding tells."""
    try:
        with images.open(index) as stream, open_image(stream) as image:
            width, height = image.size
            return (height, width) if orientation(image) >= 5 else (width, height)
    except Exception:  # Pillow's readers raise SyntaxError, struct.error, …
        return None
