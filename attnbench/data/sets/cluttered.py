"""One digit at a random place of a black canvas, among fragments of other digits.

The recipe is that of Cluttered Translated MNIST as the authors of "Attend and Rectify" (ECCV 2018) generate it:
fragments are cut at uniform positions from uniformly chosen digits and added at uniform positions, then the digit is
added at a uniform position, and values are clipped to white. Digits and fragments of a split come from that split
alone. `ClutteredDigits` is made of scikit-learn's digits, so nothing is downloaded; cluttered_mnist.py of MNIST's.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.dataset import DataSet
from attnbench.data.sets.digits import read_digits
from attnbench.data.sources.arrays import Arrays
from attnbench.data.sources.cache_dir import cache_folder, read_cache, write_cache
from attnbench.data.splits import SPLITS, Split, hold_out
from attnbench.errors import require

RECIPE_VERSION = 1
"""Part of the cache's name and of the fingerprint: raise it when the same options give other images."""
CHUNK = 4096
"""Images drawn at a time: values in single precision take four times the memory of the finished bytes."""

Order = Callable[[NDArray[np.int64], int, np.random.Generator], NDArray[np.int64]]
"""(labels of the digits (N,), number of images, generator) -> which digit each image shows."""


@dataclass(frozen=True)
class Scene:
    """What an image is made of; sizes in pixels a side."""

    canvas: int
    digit_size: int
    distractors: int
    distractor_size: int

    def __post_init__(self) -> None:
        require(self.digit_size >= 8, "digit_size", self.digit_size, "must be at least 8, the digits' own size")
        require(self.canvas >= self.digit_size, "canvas", self.canvas, f"must hold a digit of {self.digit_size}")
        require(self.distractors >= 0, "distractors", self.distractors, "must not be negative")
        require(
            1 <= self.distractor_size <= self.digit_size,
            "distractor_size",
            self.distractor_size,
            f"must be from 1 to the digits' size ({self.digit_size})",
        )


def balanced_order(labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Indices (count,) in random order: classes equally often, and equally often each digit of a class."""
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

    scene: see `Scene`. train_images, test_images: numbers of images (training including validation).
    generator_seed: seeds the images, not the run. Further options as in `DataSet`.

    A subclass sets `name`, the first part of the cache's names, and tells the digits of each split.
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
        """All that a split's images depend on."""
        options = {**asdict(self.scene), "seed": self.generator_seed, "images": self.count(split), "split": split}
        return options | {"version": RECIPE_VERSION}

    def count(self, split: Split) -> int:
        """Number of images of a split."""
        train = self.train_images - self.validation
        return {"train": train, "validation": self.validation, "test": self.test_images}[split]

    def order(self, labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Which digit each of `count` images shows."""
        return balanced_order(labels, count, generator)

    @abstractmethod
    def sources(self, split: Split) -> Arrays:
        """The digits that a split is made of, and no other split."""


class ClutteredDigits(Cluttered):
    """scikit-learn's digits, enlarged, among fragments of others. Options as in `Scene` and `Cluttered`."""

    name = "cluttered_digits"

    def __init__(self, canvas: int, digit_size: int, distractors: int, distractor_size: int, **options: Any) -> None:
        super().__init__(Scene(canvas, digit_size, distractors, distractor_size), **options)

    def fingerprint(self) -> str:
        return f"cluttered digits, recipe {RECIPE_VERSION}"

    def recipe(self, split: Split) -> dict[str, Any]:
        return super().recipe(split) | {"validation": self.validation, "train_images": self.train_images}

    def sources(self, split: Split) -> Arrays:
        """The digits that a split is made of; held out in proportion to the images held out."""
        if split == "test":
            return read_digits(train=False)
        digits = read_digits(train=True)
        held_out = hold_out(digits.labels, round(len(digits) * self.validation / self.train_images))
        return digits.take(held_out if split == "validation" else ~held_out)


class Layout(NamedTuple):
    """What goes where in N images; places are top left corners.

    fragments: (D, N, 5) int32, for each distractor the digit, row and column where it is cut, row and column where it
    is put. digits: (N, 3) int32, digit, row and column.
    """

    fragments: NDArray[np.int32]
    digits: NDArray[np.int32]


def generate(
    digits: Arrays, scene: Scene, count: int, generator: np.random.Generator, order: Order = balanced_order
) -> Arrays:
    """Make `count` images from the given digits (N, h, h, 1), with the box of each image's digit."""
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
    """Draw everything that is random, for all images before any is rendered: chunks of any size give the same."""
    fragments = np.empty((scene.distractors, count, 5), dtype=np.int32)
    for fragment in fragments:
        fragment[:, 0] = generator.integers(len(labels), size=count)
        fragment[:, 1:3] = generator.integers(scene.digit_size - scene.distractor_size + 1, size=(count, 2))
        fragment[:, 3:] = generator.integers(scene.canvas - scene.distractor_size + 1, size=(count, 2))
    digits = np.empty((count, 3), dtype=np.int32)
    digits[:, 0] = order(labels, count, generator)
    digits[:, 1:] = generator.integers(scene.canvas - scene.digit_size + 1, size=(count, 2))
    return Layout(fragments, digits)


def render(digits: NDArray[np.float32], scene: Scene, layout: Layout) -> NDArray[np.uint8]:
    """Images (N, h, h) of a layout, from digits with values in [0, 1]: fragments first, each clipped to white."""
    canvas = np.zeros((len(layout.digits), scene.canvas, scene.canvas), dtype=np.float32)
    for fragment in layout.fragments:
        patches = digits[_window(fragment[:, 0], fragment[:, 1:3], scene.distractor_size)]
        _add(canvas, patches, fragment[:, 3:])
    _add(canvas, digits[layout.digits[:, 0]], layout.digits[:, 1:])
    return np.rint(canvas * 255).astype(np.uint8)


def enlarge(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Resize images (N, h, h) bilinearly to (N, size, size), as values in [0, 1]."""
    side = images.shape[1]
    if side == size:
        return images.astype(np.float32) / np.float32(255)
    at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    weights = np.stack([np.interp(at, np.arange(side), row) for row in np.eye(side)], axis=1).astype(np.float32)
    return np.clip(weights @ (images.astype(np.float32) / 255) @ weights.T, 0, 1)


def _window(which: NDArray[np.integer], corners: NDArray[np.integer], size: int) -> tuple[NDArray[np.integer], ...]:
    """Index of a window of each chosen image, by its top left corner (row, column)."""
    rows = corners[:, 0, None, None] + np.arange(size)[None, :, None]
    columns = corners[:, 1, None, None] + np.arange(size)[None, None, :]
    return which[:, None, None], rows, columns


def _add(canvas: NDArray[np.float32], patches: NDArray[np.float32], corners: NDArray[np.integer]) -> None:
    """Add each patch to its canvas with its corner (row, column) there, and clip to white."""
    canvas[_window(np.arange(len(canvas)), corners, patches.shape[1])] += patches
    np.minimum(canvas, 1, out=canvas)
