"""Several digits of several sizes in one image, among fragments of other digits: nothing to download.

Digits and fragments are those of `ClutteredDigits`; a split is made of digits that no other split has. Objects of one
image do not overlap. A box encloses the ink of its digit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sets.cluttered import ClutteredDigits, draw_fragments, enlarge, render_fragments
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import SPLITS, Split
from attnbench.detection.data.base import DetectionSet
from attnbench.detection.data.objects import ImageObjects, Objects, first_labels
from attnbench.errors import require

RECIPE_VERSION = 1
"""Part of the fingerprint; increase it when the same options give other images."""
TRIES = 20
"""Places that are tried for an object before it is left out for want of room."""
INK = 0.2
"""Value, of 1, from which a pixel belongs to a digit."""


Floats = NDArray[np.float32]


class Scenes(NamedTuple):
    """The images (N, H, W, 1) of a split, and their objects."""

    images: NDArray[np.uint8]
    objects: Objects


class ClutteredDigitsBoxes(ClutteredDigits, DetectionSet):
    """Digits to be detected.

    Args:
        canvas: height and width of images in pixels.
        digit_sizes: heights and widths of digits in pixels, equally likely.
        most_objects: an image has 1 to so many.
        distractors: number of fragments.
        distractor_size: height and width of a fragment in pixels.
        options: see `Cluttered`.
    """

    name = "cluttered_digits_boxes"

    def __init__(
        self,
        canvas: int,
        digit_sizes: Sequence[int],
        most_objects: int,
        distractors: int,
        distractor_size: int,
        **options: Any,
    ) -> None:
        require(bool(digit_sizes), "digit_sizes", digit_sizes, "must name at least one size")
        require(most_objects >= 1, "most_objects", most_objects, "must be at least 1")
        super().__init__(canvas, max(digit_sizes), distractors, distractor_size, **options)
        require(min(digit_sizes) >= 8, "digit_sizes", digit_sizes, "must be at least 8, the original size of digits")
        self.digit_sizes, self.most_objects, self.max_size = tuple(digit_sizes), most_objects, canvas
        self._scenes: dict[Split, Scenes] = {}

    def fingerprint(self) -> str:
        return f"cluttered digits with boxes, recipe {RECIPE_VERSION}{self.held_out_otherwise()}"

    def objects(self, split: Split) -> Objects:
        return self._scene(split).objects

    def load(self, split: Split) -> Arrays:
        """Make a split; the label of an image is that of its first object."""
        scenes = self._scene(split)
        return Arrays(scenes.images, first_labels(scenes.objects))

    def _scene(self, split: Split) -> Scenes:
        if split not in self._scenes:
            generator = np.random.default_rng([self.generator_seed, SPLITS.index(split)])
            self._scenes[split] = self._make(self.sources(split), self.count(split), generator)
        return self._scenes[split]

    def _make(self, digits: Arrays, count: int, generator: np.random.Generator) -> Scenes:
        sizes = {size: enlarge(digits.images[..., 0], size) for size in {*self.digit_sizes, self.scene.digit_size}}
        fragments = draw_fragments(len(digits), self.scene, count, generator)
        canvas = render_fragments(sizes[self.scene.digit_size], self.scene, fragments)
        numbers = generator.integers(1, self.most_objects + 1, size=count)
        objects = [
            self._place(image, int(number), digits.labels, sizes, generator)
            for image, number in zip(canvas, numbers, strict=True)
        ]
        return Scenes(np.rint(canvas * 255).astype(np.uint8)[..., None], Objects.of(objects))

    def _place(
        self,
        image: Floats,
        number: int,
        labels: NDArray[np.int64],
        sizes: Mapping[int, Floats],
        generator: np.random.Generator,
    ) -> ImageObjects:
        """Draw a number of digits into an image (h, h), as far as there is room, and return them."""
        taken, boxes, chosen = np.zeros(image.shape, np.bool_), [], []
        for _ in range(number):
            size, digit = int(generator.choice(self.digit_sizes)), int(generator.integers(len(labels)))
            corners = generator.integers(len(image) - size + 1, size=(TRIES, 2)).tolist()
            free = (corner for corner in corners if not taken[_square(corner, size)].any())
            if (corner := next(free, None)) is None:
                continue
            place, (row, column) = _square(corner, size), corner
            taken[place], patch = True, sizes[size][digit]
            image[place] = np.minimum(image[place] + patch, 1)
            boxes.append(ink_box(patch) + np.array([column, row, column, row]))
            chosen.append(int(labels[digit]))
        return ImageObjects.of(boxes, chosen)


def ink_box(digit: Floats) -> NDArray[np.int64]:
    """Return the left, top, right and bottom edge of what is drawn in an image (h, h)."""
    rows, columns = (np.flatnonzero((digit >= INK).any(axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def _square(corner: Sequence[int], size: int) -> tuple[slice, slice]:
    """Return the index of a square whose top left corner is at a row and a column."""
    row, column = corner
    return slice(row, row + size), slice(column, column + size)
