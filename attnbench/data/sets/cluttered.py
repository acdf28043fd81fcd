"""Images of one digit at a random position on a black canvas, among fragments of other digits.

The recipe is that of Cluttered Translated MNIST as the authors of "Attend and Rectify" (ECCV 2018) generate it:
fragments are cut at uniform positions from uniformly chosen digits and added at uniform positions, then the digit is
added at a uniform position, and values are clipped to white. Digits and fragments of a split come from that split
only. `ClutteredDigits` is made of scikit-learn's digits and needs no download; cluttered_mnist.py uses MNIST.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.dataset import DataSet
from attnbench.data.sets.digits import Digits, read_digits
from attnbench.data.sources.arrays import Arrays
from attnbench.data.sources.cache_dir import cache_folder, read_cache, write_cache
from attnbench.data.splits import SPLITS, Split, hold_out
from attnbench.errors import require

RECIPE_VERSION = 1
"""Part of cached files' names and of the fingerprint; increase it when the same options give other images."""
HELD_OUT = (10, 1378)
"""Fewest and most training digits that are held out: one of each class, and all but one of the rarest class."""
CHUNK = 4096
"""Images drawn at a time, because single-precision values take four times the memory of the result."""

Order = Callable[[NDArray[np.int64], int, np.random.Generator], NDArray[np.int64]]
"""(labels of the digits (N,), number of images, generator) -> index of the digit that each image shows."""


@dataclass(frozen=True)
class Scene:
    """Composition of an image.

    Attributes:
        canvas: height and width of the image in pixels.
        digit_size: height and width of the digit.
        distractors: number of fragments.
        distractor_size: height and width of a fragment.
    """

    canvas: int
    digit_size: int
    distractors: int
    distractor_size: int

    def __post_init__(self) -> None:
        require(self.digit_size >= 8, "digit_size", self.digit_size, "must be at least 8, the original size of digits")
        require(self.canvas >= self.digit_size, "canvas", self.canvas, f"must hold a digit of {self.digit_size}")
        require(self.distractors >= 0, "distractors", self.distractors, "must not be negative")
        require(
            1 <= self.distractor_size <= self.digit_size,
            "distractor_size",
            self.distractor_size,
            f"must be from 1 to the digits' size ({self.digit_size})",
        )


def balanced_order(labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return indices (count,) in random order: all classes, and all digits of a class, equally often."""
    classes = np.unique(labels)
    chosen = [np.arange(0)]
    for index, label in enumerate(classes):
        wanted = count // len(classes) + (index < count % len(classes))
        members = np.flatnonzero(labels == label)
        rounds = -(-wanted // len(members))
        order = [generator.permutation(members) for _ in range(rounds)]
        chosen.append(np.concatenate(order)[:wanted] if order else members[:0])
    return generator.permutation(np.concatenate(chosen))


class Cluttered(DataSet):
    """A cluttered set, generated once and cached.

    A subclass sets `name`, which cached files begin with, and defines `sources`, the digits of each split.

    Args:
        scene: composition of the images.
        train_images: number of training images, including those held out.
        test_images: number of test images.
        generator_seed: seed of the images, independent of the run's seed.
        options: see `DataSet`.
    """

    name: ClassVar[str]
    classes = tuple("0123456789")
    channels = 1

    def __init__(self, scene: Scene, train_images: int, test_images: int, generator_seed: int, **options: Any) -> None:
        require(train_images >= 1, "train_images", train_images, "must be at least 1")
        require(test_images >= 1, "test_images", test_images, "must be at least 1")
        require(generator_seed >= 0, "generator_seed", generator_seed, "must not be negative")
        self.scene, self.image_size = scene, scene.canvas
        self.train_images, self.test_images, self.generator_seed = train_images, test_images, generator_seed
        self.counts = train_images, test_images
        super().__init__(**options)

    def load(self, split: Split) -> Arrays:
        digest = hashlib.sha256(repr(sorted(self.recipe(split).items())).encode()).hexdigest()[:16]
        path = cache_folder() / f"{self.name}-{split}-{digest}.npz"
        cached = read_cache(path)
        if cached is None:
            generator = np.random.default_rng([self.generator_seed, SPLITS.index(split)])
            cached = generate(self.sources(split), self.scene, self.count(split), generator, self.order)
            write_cache(path, cached)
        return cached

    def recipe(self, split: Split) -> dict[str, Any]:
        """Return everything that a split's images depend on."""
        options = {**asdict(self.scene), "seed": self.generator_seed, "images": self.count(split), "split": split}
        return options | {"version": RECIPE_VERSION}

    def count(self, split: Split) -> int:
        """Return the number of images of a split."""
        train = self.train_images - self.validation
        return {"train": train, "validation": self.validation, "test": self.test_images}[split]

    def order(self, labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return the index of the digit that each of `count` images shows."""
        return balanced_order(labels, count, generator)

    @abstractmethod
    def sources(self, split: Split) -> Arrays:
        """Read the digits that a split is made of; no other split uses them."""


class ClutteredDigits(Cluttered):
    """scikit-learn's digits, enlarged, among fragments of other digits. Options as in `Scene` and `Cluttered`."""

    name = "cluttered_digits"

    def __init__(self, canvas: int, digit_size: int, distractors: int, distractor_size: int, **options: Any) -> None:
        super().__init__(Scene(canvas, digit_size, distractors, distractor_size), **options)

    @property
    def share(self) -> int:
        """The share of the training digits that is the validation images' share of the training images."""
        return round(Digits.train_images * self.validation / self.train_images)

    @property
    def held_out(self) -> int:
        """The number of training digits that validation images are made of: `share`, within `HELD_OUT`."""
        return min(max(self.share, HELD_OUT[0]), HELD_OUT[1]) if self.validation else 0

    def fingerprint(self) -> str:
        return f"cluttered digits, recipe {RECIPE_VERSION}{self.held_out_otherwise()}"

    def held_out_otherwise(self) -> str:
        """Return the part of the fingerprint of sets for which `share` itself was held out before; empty for others."""
        return f", {self.held_out} digits held out" if self.held_out != self.share else ""

    def recipe(self, split: Split) -> dict[str, Any]:
        recipe = super().recipe(split) | {"validation": self.validation, "train_images": self.train_images}
        return recipe | ({"held_out": self.held_out} if self.held_out != self.share else {})

    def sources(self, split: Split) -> Arrays:
        """Read the digits that a split is made of."""
        if split == "test":
            return read_digits(train=False)
        digits = read_digits(train=True)
        held_out = hold_out(digits.labels, self.held_out)
        return digits.take(held_out if split == "validation" else ~held_out)


class Layout(NamedTuple):
    """Digits and fragments of N images, and their places (top left corners).

    fragments: (D, N, 5) int32, for each distractor the digit, row and column where it is cut, row and column where it
    is put. digits: (N, 3) int32, digit, row and column.
    """

    fragments: NDArray[np.int32]
    digits: NDArray[np.int32]


def generate(
    digits: Arrays, scene: Scene, count: int, generator: np.random.Generator, order: Order = balanced_order
) -> Arrays:
    """Generate `count` images from digits (N, h, h, 1), with the box of each image's digit."""
    layout = draw_layout(digits.labels, scene, count, generator, order)
    enlarged = enlarge(digits.images[..., 0], scene.digit_size)
    images = np.empty((count, scene.canvas, scene.canvas, 1), dtype=np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        images[part, ..., 0] = render(enlarged, scene, Layout(layout.fragments[:, part], layout.digits[part]))
    chosen, rows, columns = layout.digits.T
    boxes = np.stack([columns, rows, columns + scene.digit_size, rows + scene.digit_size], axis=1)
    return Arrays(images, digits.labels[chosen], boxes.astype(np.float32))


def draw_layout(
    labels: NDArray[np.int64], scene: Scene, count: int, generator: np.random.Generator, order: Order
) -> Layout:
    """Draw all random numbers of all images at once, so that the result does not depend on the size of chunks."""
    fragments = draw_fragments(len(labels), scene, count, generator)
    digits = np.empty((count, 3), dtype=np.int32)
    digits[:, 0] = order(labels, count, generator)
    digits[:, 1:] = generator.integers(scene.canvas - scene.digit_size + 1, size=(count, 2))
    return Layout(fragments, digits)


def draw_fragments(digits: int, scene: Scene, count: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Draw the fragments of `count` images (see `Layout`), which are cut from so many digits."""
    fragments = np.empty((scene.distractors, count, 5), dtype=np.int32)
    for fragment in fragments:
        fragment[:, 0] = generator.integers(digits, size=count)
        fragment[:, 1:3] = generator.integers(scene.digit_size - scene.distractor_size + 1, size=(count, 2))
        fragment[:, 3:] = generator.integers(scene.canvas - scene.distractor_size + 1, size=(count, 2))
    return fragments


def render(digits: NDArray[np.float32], scene: Scene, layout: Layout) -> NDArray[np.uint8]:
    """Render the images (N, h, h) of a layout from digits with values in [0, 1]; each addition is clipped to white."""
    canvas = render_fragments(digits, scene, layout.fragments)
    _add(canvas, digits[layout.digits[:, 0]], layout.digits[:, 1:])
    return np.rint(canvas * 255).astype(np.uint8)


def render_fragments(digits: NDArray[np.float32], scene: Scene, fragments: NDArray[np.int32]) -> NDArray[np.float32]:
    """Render images (N, h, h) of fragments (D, N, 5) alone, with values in [0, 1]."""
    canvas = np.zeros((fragments.shape[1], scene.canvas, scene.canvas), dtype=np.float32)
    for fragment in fragments:
        _add(canvas, digits[_window(fragment[:, 0], fragment[:, 1:3], scene.distractor_size)], fragment[:, 3:])
    return canvas


def enlarge(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Resize images (N, h, h) bilinearly to (N, size, size), with values in [0, 1]."""
    side = images.shape[1]
    if side == size:
        return images.astype(np.float32) / np.float32(255)
    at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    weights = np.stack([np.interp(at, np.arange(side), row) for row in np.eye(side)], axis=1).astype(np.float32)
    return np.clip(weights @ (images.astype(np.float32) / 255) @ weights.T, 0, 1)


def _window(which: NDArray[np.integer], corners: NDArray[np.integer], size: int) -> tuple[NDArray[np.integer], ...]:
    """Return the index of a window in each chosen image, given its top left corner (row, column)."""
    rows = corners[:, 0, None, None] + np.arange(size)[None, :, None]
    columns = corners[:, 1, None, None] + np.arange(size)[None, None, :]
    return which[:, None, None], rows, columns


def _add(canvas: NDArray[np.float32], patches: NDArray[np.float32], corners: NDArray[np.integer]) -> None:
    """Add each patch to its canvas at its corner (row, column), and clip to white."""
    canvas[_window(np.arange(len(canvas)), corners, patches.shape[1])] += patches
    np.minimum(canvas, 1, out=canvas)
