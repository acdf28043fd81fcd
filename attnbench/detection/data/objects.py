"""The objects of a split's images: boxes, classes, and which of them a detector need not find."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ImageObjects(NamedTuple):
    """The M objects of one image.

    Attributes:
        boxes: (M, 4) float32, left, top, right and bottom edge in pixels.
        labels: (M,) int64, from 0.
        crowd: (M,) bool; a crowd is neither trained on nor missed, and detections inside it are not counted.
        difficult: (M,) bool; VOC's mark of objects that are neither trained on nor counted.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        boxes: Sequence[Sequence[float]],
        labels: Sequence[int],
        crowd: Sequence[bool] | None = None,
        difficult: Sequence[bool] | None = None,
    ) -> "ImageObjects":
        """Build the objects of an image from lists; none is a crowd, or difficult, unless it is said."""
        none = [False] * len(labels)
        return cls(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray(labels, np.int64),
            np.asarray(none if crowd is None else crowd, np.bool_),
            np.asarray(none if difficult is None else difficult, np.bool_),
        )

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Which objects (M,) a detector is trained on."""
        return ~(self.crowd | self.difficult)


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of N images, one after the other.

    Attributes:
        ends: (N,) int64, the number of objects up to the end of each image.
        all: the objects of all images.
    """

    ends: NDArray[np.int64]
    all: ImageObjects

    @classmethod
    def of(cls, images: Sequence[ImageObjects]) -> "Objects":
        """Join the objects of images."""
        joined = [np.concatenate(parts) for parts in zip(ImageObjects.of([], []), *images, strict=True)]
        return cls(np.cumsum([len(each.labels) for each in images], dtype=np.int64), ImageObjects(*joined))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> ImageObjects:
        """Return the objects of an image."""
        own = slice(int(self.ends[index - 1]) if index else 0, int(self.ends[index]))
        boxes, labels, crowd, difficult = self.all
        return ImageObjects(boxes[own], labels[own], crowd[own], difficult[own])

    def take(self, indices: NDArray[np.int64]) -> "Objects":
        """Return the objects of some images, in the order of their indices."""
        return Objects.of([self[int(index)] for index in indices])

    @cached_property
    def digest(self) -> str:
        """A hash that differs when any object does."""
        found = hashlib.sha256(self.ends.tobytes())
        for part in self.all:
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()[:16]


def first_labels(objects: Objects) -> NDArray[np.int64]:
    """Return the class (N,) of the first object of each image, 0 without one: what held-out images are balanced by."""
    return np.array([next(iter(objects[index].labels), 0) for index in range(len(objects))], np.int64)
