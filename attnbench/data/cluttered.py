"""Cluttered digits: one digit at a random place on a black canvas, among fragments of other digits.

The recipe is that of Cluttered Translated MNIST as the authors of "Attend and Rectify" (ECCV 2018) generate it:
fragments are cut at uniform positions from uniformly chosen digits and added at uniform positions, then the digit is
added at a uniform position, and values are clipped to white. Digits and fragments of a split come from that split
alone. The source here is scikit-learn's digits, so nothing is downloaded.
"""

import hashlib
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from attnbench.data.base import SPLITS, Arrays, DataSet, Split, hold_out
from attnbench.data.digits import read_digits
from attnbench.errors import require

RECIPE_VERSION = 1
"""Part of the cache's name and of the fingerprint: raise it when the same options give other images."""


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
            f"must be from 1 to digit_size ({self.digit_size})",
        )


class ClutteredDigits(DataSet):
    """Cluttered digits, generated once and cached.

    train_images, test_images: numbers of images (training including validation). canvas, digit_size, distractors,
    distractor_size: see `Scene`. generator_seed: seeds the images, not the run. Further options as in `DataSet`.
    """

    classes = tuple("0123456789")
    channels = 1

    def __init__(
        self,
        train_images: int,
        test_images: int,
        canvas: int,
        digit_size: int,
        distractors: int,
        distractor_size: int,
        generator_seed: int,
        **options: Any,
    ) -> None:
        require(train_images >= 1, "train_images", train_images, "must be at least 1")
        require(test_images >= 1, "test_images", test_images, "must be at least 1")
        require(generator_seed >= 0, "generator_seed", generator_seed, "must not be negative")
        self.scene = Scene(canvas, digit_size, distractors, distractor_size)
        self.image_size, self.train_images, self.test_images = canvas, train_images, test_images
        self.generator_seed = generator_seed
        super().__init__(**options)

    def fingerprint(self) -> str:
        return f"cluttered digits, recipe {RECIPE_VERSION}"

    def load(self, split: Split) -> Arrays:
        options = {**asdict(self.scene), "seed": self.generator_seed, "images": self._count(split), "split": split}
        options |= {"validation": self.validation, "train_images": self.train_images, "version": RECIPE_VERSION}
        digest = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:16]
        path = cache_folder() / f"cluttered_digits-{split}-{digest}.npz"
        cached = _read(path)
        if cached is None:
            generator = np.random.default_rng([self.generator_seed, SPLITS.index(split)])
            cached = generate(self.sources(split), self.scene, self._count(split), generator)
            _write(path, cached)
        return cached

    def sources(self, split: Split) -> Arrays:
        """The digits that a split is made of; held out in proportion to the images held out."""
        if split == "test":
            return read_digits(train=False)
        digits = read_digits(train=True)
        held_out = hold_out(digits.labels, round(len(digits) * self.validation / self.train_images))
        return digits.take(held_out if split == "validation" else ~held_out)

    def _count(self, split: Split) -> int:
        train = self.train_images - self.validation
        return {"train": train, "validation": self.validation, "test": self.test_images}[split]


def generate(digits: Arrays, scene: Scene, count: int, generator: np.random.Generator) -> Arrays:
    """Make `count` images from the given digits (N, 8, 8, 1), with the box of each image's digit."""
    enlarged = enlarge(digits.images[..., 0], scene.digit_size)
    canvas = np.zeros((count, scene.canvas, scene.canvas), dtype=np.float32)
    for _ in range(scene.distractors):
        picked = generator.integers(len(digits), size=count)
        corners = generator.integers(scene.digit_size - scene.distractor_size + 1, size=(count, 2))
        fragments = enlarged[_window(picked, corners, scene.distractor_size)]
        _add(canvas, fragments, generator)
    order = balanced_order(digits.labels, count, generator)
    corners = _add(canvas, enlarged[order], generator)
    boxes = np.concatenate([corners[:, ::-1], corners[:, ::-1] + scene.digit_size], axis=1).astype(np.float32)
    images = np.rint(canvas * 255).astype(np.uint8)[..., None]
    return Arrays(images, digits.labels[order], boxes)


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


def enlarge(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Resize (N, h, h) images bilinearly to (N, size, size), as values in [0, 1]."""
    side = images.shape[1]
    at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    weights = np.stack([np.interp(at, np.arange(side), row) for row in np.eye(side)], axis=1).astype(np.float32)
    return np.clip(weights @ (images.astype(np.float32) / 255) @ weights.T, 0, 1)


def _window(which: NDArray[np.int64], corners: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], ...]:
    """Index of a window of each chosen image, by its top left corner (row, column)."""
    rows = corners[:, 0, None, None] + np.arange(size)[None, :, None]
    columns = corners[:, 1, None, None] + np.arange(size)[None, None, :]
    return which[:, None, None], rows, columns


def _add(
    canvas: NDArray[np.float32], patches: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Add each patch to its canvas at a uniform position, clip to white, and return the corners (row, column)."""
    count, size = len(patches), patches.shape[1]
    corners = generator.integers(canvas.shape[1] - size + 1, size=(count, 2))
    canvas[_window(np.arange(count), corners, size)] += patches
    np.minimum(canvas, 1, out=canvas)
    return corners


def cache_folder() -> Path:
    """Where generated data is kept: `$ATTNBENCH_CACHE`, or `attnbench` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ATTNBENCH_CACHE") or Path(base) / "attnbench")


def _read(path: Path) -> Arrays | None:
    """The cached split, or None if there is none or it is damaged."""
    try:
        with np.load(path) as stored:
            return Arrays(stored["images"], stored["labels"], stored["boxes"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        warnings.warn(f"{path} is damaged ({error}); generating it anew", stacklevel=2)
        return None


def _write(path: Path, arrays: Arrays) -> None:
    """Store a split, whole or not at all; a cache that cannot be written costs a second per run, no more."""
    temporary = path.with_suffix(f".{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert arrays.boxes is not None
        np.savez(temporary, images=arrays.images, labels=arrays.labels, boxes=arrays.boxes)
        temporary.replace(path)
    except OSError as error:
        warnings.warn(f"cannot cache generated images in {path.parent}: {error}", stacklevel=2)
