"""The base class of data sets in files, which are read during training.

Each image is decoded and resized to its stored form (see `StoredFormat`); crops, flips and scaling happen on the
device, per image. A random resized crop is therefore cut out of the stored form, not out of the original file as in
torchvision's recipe: with `resize` at 256, small windows have less detail.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.dataset import DataSet, folder_of
from attnbench.data.bases.held_out import check_held_out
from attnbench.data.sources.arrays import Arrays
from attnbench.data.sources.image_files import Images, digest, first_few
from attnbench.data.sources.left_out import LeftOut, warn_once
from attnbench.data.splits import SPLITS, Split, hold_out
from attnbench.data.transforms.crop_params import CROPS, center_crops, stored_boxes
from attnbench.errors import UserError, require, require_choice

if TYPE_CHECKING:
    from attnbench.data.transforms.decode import StoredFormat

CACHES = ("none", "ram", "disk")


class FileDataSet(DataSet):
    """Images in files.

    A subclass defines `name`, `classes`, `check_layout` and `files`.

    Args:
        root: the folder that holds the set.
        batch_size: see `DataSet`.
        validation: see `DataSet`.
        image_size: height and width of the network's input in pixels.
        resize: length in pixels of the shorter side of stored images.
        stretch: resize both sides to `resize`, whatever the aspect ratio.
        train_crop: `random`, a window of `image_size`; `random_resized`, a window of 8 to 100 % of the area, scaled to
            `image_size`; or `center`, which evaluation always uses.
        flip: flip training images horizontally with probability 1/2.
        mean: see `DataSet`.
        std: see `DataSet`.
        workers: number of decoding processes; 0 decodes in the training process, `auto` follows the number of cores.
        cache: `ram` or `disk` keeps stored images, so that each is decoded once; `none` decodes them in every epoch.
        on_bad_image: `error`, or `skip` to leave out images that cannot be decoded. With `skip`, all images are read
            once before training, and the bad ones are remembered in the cache folder.
        label_noise: see `DataSet`.
        resampled: see `DataSet`.

    Attributes:
        name: the set's name in configurations.
        hash_all_sizes: whether the fingerprint holds the size of every file, or of the first one of each class only.
    """

    name: ClassVar[str]
    hash_all_sizes: ClassVar[bool] = True
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
        require(validation >= 0, "validation", validation, "must not be negative")  # more once files are listed

    @property
    def form(self) -> "StoredFormat":
        """Size at which images are stored."""
        from attnbench.data.transforms.decode import StoredFormat

        return StoredFormat(self.resize, self.stretch)

    @property
    def train_images(self) -> int:  # type: ignore[override]  # known once the files are listed
        """Number of training images on disk, including those held out."""
        return len(self.listed("train"))

    @abstractmethod
    def check_layout(self) -> None:
        """Check quickly that the files are complete and consistent.

        Raises:
            UserError: the message says what is wrong, where, and how to get the set.
        """

    @abstractmethod
    def files(self, split: Split) -> Images:
        """List the images of a split on disk; none if it has no such split (held-out images belong to `train`)."""

    def listed(self, split: Split) -> Images:
        """Return `files(split)`, cached."""
        if split not in self._listed:
            self._listed[split] = self.files(split)
        return self._listed[split]

    @property
    def place(self) -> Path:
        """The folder that the images are in."""
        return self.root

    def left_out(self) -> LeftOut:
        """Count the files of the set's folder that are not used, by reason."""
        return LeftOut()

    @property
    def read_from(self) -> str:
        """What decides which images a cache holds and is not in the fingerprint, such as the column of a table."""
        return ""

    def check_available(self) -> None:
        self.check_layout()
        if left_out := self.left_out():
            warn_once(f"data={self.name}: {self.place}: not used: {left_out}")
        self._report_untested_classes()
        if self.validation:
            self._require_validation_fits()
        check_held_out(self)

    def _require_validation_fits(self) -> None:
        key, published = f"data={self.name}: data.validation={self.validation}", len(self.listed("validation"))
        if published:
            raise UserError(f"{key}: {self.root} has its own {published} validation images; set it to 0 to use them")
        if self.validation >= self.train_images:
            raise UserError(f"{key}: must be below {self.train_images}, the training images in {self.root}")

    @property
    def amounts(self) -> dict[Split, float]:
        """How many images are to be held out for a split, by the option `data.<split>`."""
        return {"validation": self.validation}

    @property
    def group_name(self) -> str:
        """For messages, what images of one group share; empty where every image is its own group."""
        return ""

    def given_labels(self) -> NDArray[np.int64]:
        """Return the labels (N,) of the images of which some are held out; each of them is to keep one for training."""
        return self.listed("train").labels

    def _report_untested_classes(self) -> None:
        """Log which classes are trained on and never tested."""
        trained = np.unique(self.listed("train").labels)
        for split in ("validation", "test"):
            labels = self.listed(split).labels
            absent = [self.classes[label] for label in np.setdiff1d(trained, labels)]
            if len(labels) and absent:
                classes = f"{len(absent):,} of {len(trained):,} classes have"
                warn_once(f"data={self.name}: {classes} no image in {split}: {first_few(absent)}")

    @cached_property
    def _fingerprint(self) -> str:
        return f"{self.name} {digest(map(self.listed, SPLITS), self.hash_all_sizes)}"

    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def splits(self) -> tuple[Split, ...]:
        present = {split for split in SPLITS if len(self.listed(split))}
        return tuple(split for split in SPLITS if split in present or (split == "validation" and self.validation))

    def members(self, split: Split) -> tuple[Split, NDArray[np.int64]]:
        """Return the split on disk that holds a split's images, and their indices (N,) in its list of files."""
        files = self.listed(split)
        if split == "test" or not self.validation:
            return split, np.arange(len(files))
        held_out = self.held_out()
        return "train", np.flatnonzero(held_out if split == "validation" else ~held_out)

    def held_out(self) -> NDArray[np.bool_]:
        """Return a mask (N,) of the training images that are held out for validation."""
        return hold_out(self.listed("train").labels, self.validation)

    def load(self, split: Split) -> Arrays:
        """Read a whole split into memory, cropped as in evaluation: for small sets and for looking at images."""
        source, members = self.members(split)
        return self.read_members(source, members)[0]

    def read_members(self, source: Split, members: NDArray[np.int64]) -> tuple[Arrays, list[int]]:
        """Read some files into memory, cropped as in evaluation.

        Args:
            source: the split on disk that lists them.
            members: (N,) indices in its list of files.

        Returns:
            The images, and the indices of those that could be decoded.
        """
        from attnbench.data.transforms.decode import DecodeError, Stored, decode

        files = self.listed(source)
        files.prepare()
        decoded: dict[int, Stored] = {}
        for member in members.tolist():
            try:
                decoded[member] = decode(files.read(member), self.form, files.crop(member))
            except DecodeError as error:
                if self.on_bad_image == "error":
                    raise self.bad_image_error(source, member, str(error)) from error
            except OSError as error:
                raise UserError(f"data={self.name}: {files.name(member)}: {error.strerror or error}") from error
        shapes = np.array([stored.shape for stored in decoded.values()], np.int64).reshape(-1, 4)
        crops, kept = center_crops(shapes[:, :2], self.image_size), list(decoded)
        images = np.empty((len(kept), self.image_size, self.image_size, 3), np.uint8)
        for index, (left, top, width, height) in enumerate(crops.windows):
            images[index] = decoded[kept[index]].pixels[top : top + height, left : left + width]
        boxes = None if files.boxes is None else crops.boxes(stored_boxes(files.boxes[kept], shapes))
        return Arrays(images, files.labels[kept], boxes), kept

    def bad_image_error(self, source: Split, member: int, reason: str) -> UserError:
        """Build the error for an image that cannot be decoded."""
        message = f"data={self.name}: {self.listed(source).name(member)}: cannot be decoded: {reason}"
        return UserError(f"{message}; data.on_bad_image=skip leaves such images out")
