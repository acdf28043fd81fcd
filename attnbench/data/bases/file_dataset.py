"""Data sets too large for the device: images are read from files while training goes on.

Each image is decoded and resized once to its stored form; crops, flips and scaling happen on the device, per image.
A random resized crop is therefore cut out of the stored form, not out of the original file as torchvision's recipe
does: with `resize` at 256, small windows have less detail.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.dataset import DataSet, folder_of
from attnbench.data.sources.arrays import Arrays
from attnbench.data.sources.image_files import Images, digest
from attnbench.data.splits import SPLITS, Split, hold_out
from attnbench.data.transforms.crop_params import CROPS, center_views, stored_boxes
from attnbench.errors import UserError, require, require_choice

if TYPE_CHECKING:
    from attnbench.data.transforms.decode import StoredFormat

CACHES = ("none", "ram", "disk")


class FileDataSet(DataSet):
    """Images in files.

    root: the folder that holds the set. image_size: pixels a side of what the network sees. resize: pixels of the
    shorter side that images are stored at; stretch: of both sides, whatever the aspect. train_crop: `random`, a window
    of image_size; `random_resized`, one of 8 to 100 % of the area, scaled; or `center`, which evaluation always takes.
    flip: random horizontal flip. workers: processes that decode; 0 is none, `auto` goes by the cores. cache: keeps
    stored forms, in memory or in a file, so that they are decoded once. on_bad_image: `error`, or `skip` to leave out
    images that cannot be decoded; then all are read once before training, and which are bad is remembered.
    Further options as in `DataSet`.

    A subclass defines `name`, `classes`, `look` and `files`.
    """

    name: ClassVar[str]
    every_size: ClassVar[bool] = True
    """Whether the fingerprint holds the size of every file."""
    channels = 3

    def __init__(
        self,
        root: str,
        batch_size: int,
        validation: int,
        image_size: int,
        resize: int,
        stretch: bool,
        train_crop: str,
        flip: bool,
        mean: Sequence[float],
        std: Sequence[float],
        workers: int | str = "auto",
        cache: str = "none",
        on_bad_image: str = "error",
        label_noise: float = 0.0,
        resampled: bool = False,
    ) -> None:
        require(image_size >= 1, "image_size", image_size, "must be at least 1")
        require(resize >= image_size, "resize", resize, f"must be at least image_size ({image_size})")
        require_choice("train_crop", train_crop, CROPS)
        require(workers == "auto" or int(workers) >= 0, "workers", workers, "must not be negative, or auto")
        require_choice("cache", cache, CACHES)
        require_choice("on_bad_image", on_bad_image, ("error", "skip"))
        self.root, self.image_size = folder_of(root), image_size
        self.resize, self.stretch, self.train_crop = resize, stretch, train_crop
        self.workers, self.cache, self.on_bad_image = workers, cache, on_bad_image
        super().__init__(batch_size, validation, mean, std, flip=flip, label_noise=label_noise, resampled=resampled)
        self._listed: dict[Split, Images] = {}

    def require_validation(self, validation: int) -> None:
        require(validation >= 0, "validation", validation, "must not be negative")  # the rest when files are listed

    @property
    def form(self) -> "StoredFormat":
        """How images are stored."""
        from attnbench.data.transforms.decode import StoredFormat

        return StoredFormat(self.resize, self.stretch)

    @property
    def train_images(self) -> int:  # type: ignore[override]  # known when the files are listed
        """Training images on disk, including those held out."""
        return len(self.listed("train"))

    # what lies on disk

    @abstractmethod
    def look(self) -> None:
        """Raise `UserError` with what is missing or disagrees, where it was looked for and how to get it. Quick."""

    @abstractmethod
    def files(self, split: Split) -> Images:
        """A split as it lies on disk, maybe empty; `validation` only if the set has such a split of its own."""

    def listed(self, split: Split) -> Images:
        """`files`, listed once."""
        if split not in self._listed:
            self._listed[split] = self.files(split)
        return self._listed[split]

    def find(self) -> None:
        self.look()
        if not self.validation:
            return
        key, own = f"data={self.name}: data.validation={self.validation}", len(self.listed("validation"))
        if own:
            raise UserError(f"{key}: {self.root} has {own} validation images of its own; leave it at 0 to use them")
        if self.validation >= self.train_images:
            raise UserError(f"{key}: must be below {self.train_images}, the training images in {self.root}")

    @cached_property
    def _fingerprint(self) -> str:
        return f"{self.name} {digest(map(self.listed, SPLITS), self.every_size)}"

    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def splits(self) -> tuple[Split, ...]:
        present = {split for split in SPLITS if len(self.listed(split))}
        return tuple(split for split in SPLITS if split in present or (split == "validation" and self.validation))

    def members(self, split: Split) -> tuple[Split, NDArray[np.int64]]:
        """Where a split's images are: the split whose files hold them, and their places among those files."""
        files = self.listed(split)
        if split == "test" or not self.validation:
            return split, np.arange(len(files))
        held_out = self.held_out()
        return "train", np.flatnonzero(held_out if split == "validation" else ~held_out)

    def held_out(self) -> NDArray[np.bool_]:
        """Mask (N,) of the training images that are held out for validation."""
        return hold_out(self.listed("train").labels, self.validation)

    # what is made of it

    def load(self, split: Split) -> Arrays:
        """A whole split as evaluation sees it, in memory: for small sets, and a look at some images."""
        from attnbench.data.transforms.decode import DecodeError, Stored, decode

        source, members = self.members(split)
        files = self.listed(source)
        files.prepare()
        found: dict[int, Stored] = {}
        for member in members.tolist():
            try:
                found[member] = decode(files.read(member), self.form, files.crop(member))
            except DecodeError as error:
                if self.on_bad_image == "error":
                    raise self.refusal(source, member, str(error)) from error
        shapes = np.array([stored.shape for stored in found.values()], np.int64).reshape(-1, 4)
        views, kept = center_views(shapes[:, :2], self.image_size), list(found)
        images = np.empty((len(kept), self.image_size, self.image_size, 3), np.uint8)
        for place, (left, top, width, height) in enumerate(views.windows):
            images[place] = found[kept[place]].pixels[top : top + height, left : left + width]
        boxes = None if files.boxes is None else views.boxes(stored_boxes(files.boxes[kept], shapes))
        return Arrays(images, files.labels[kept], boxes)

    def refusal(self, source: Split, member: int, reason: str) -> UserError:
        """What to say of an image that cannot be decoded."""
        told = f"data={self.name}: {self.listed(source).name(member)}: cannot be decoded: {reason}"
        return UserError(f"{told}; data.on_bad_image=skip leaves such images out")
