"""The base classes of data sets for detection: kept in memory, or read from files."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.image_files import ImageFiles, first_few, missing_files
from attnbench.data.sources.label_files import LabelFileError
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.splits import SPLITS, Integers, Split
from attnbench.detection.data.box_check import Annotation, within
from attnbench.detection.data.objects import ImageObjects, Objects, first_labels
from attnbench.detection.data.size_check import size_problem
from attnbench.errors import UserError, require


class DetectionSet(DataSet, ABC):
    """A data set whose images hold objects.

    Attributes:
        max_size: the longest side in pixels to which images are enlarged or reduced.
    """

    for_task: ClassVar[str] = "detection"
    max_size: int

    def image_ids(self, split: Split) -> Sequence[int]:
        """Return the number of each image of a split, by which results name it: its place, unless files say another."""
        return range(len(self.objects(split)))

    @property
    def category_ids(self) -> Sequence[int]:
        """The number of each class, by which results name it: from 1, unless files say another."""
        return range(1, self.num_classes + 1)

    @abstractmethod
    def objects(self, split: Split) -> Objects:
        """Return the objects of a split's images, in the order of `load`, or of `members` for sets in files."""


@dataclass
class AnnotatedImages:
    """The images of a split and their objects, as annotation files list them.

    Attributes:
        paths: relative to the set's root.
        objects: of each image.
        ids: the number of each image in its files; empty where they have none.
        empty: where the boxes without area are, which are left out.
        sizes: width and height of each image in pixels.
    """

    paths: list[str] = field(default_factory=list)
    objects: list[ImageObjects] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    sizes: list[tuple[float, float]] = field(default_factory=list)

    def add(self, file: Path, path: str, annotations: Iterable[Annotation], width: int, height: int) -> None:
        """Add an image of a file. Raises `LabelFileError` for a box that cannot be of an object in it."""
        kept = []
        for each in annotations:
            if (clipped := within(file, each, width, height)) is not None:
                kept.append(clipped)
            else:
                self.empty.append(f"{file.name}, {each.where}")
        self.paths.append(path)
        self.sizes.append((width, height))
        parts = ([each.box for each in kept], [each.label for each in kept])
        self.objects.append(ImageObjects.of(*parts, [each.crowd for each in kept], [each.difficult for each in kept]))

    @cached_property
    def joined(self) -> Objects:
        """The objects of all images."""
        return Objects.of(self.objects)


class DetectionFiles(FileDataSet, DetectionSet):
    """Images in files, and their objects.

    Images are stored with their shorter side at `image_size`, at which detectors take them. A subclass defines `name`,
    `classes`, `instructions` and `annotated`.

    Args:
        image_size: length in pixels of an image's shorter side.
        max_size: the longest side; where it would be exceeded, the shorter side is smaller.
        options: all others of `FileDataSet`; `resize`, `stretch` and `train_crop` follow from these.
    """

    instructions: ClassVar[str]

    def __init__(self, image_size: int, max_size: int, **options: Any) -> None:
        require(max_size >= image_size, "max_size", max_size, f"must be at least image_size ({image_size})")
        self.max_size = max_size
        self._read: dict[Split, AnnotatedImages] = {}
        super().__init__(image_size=image_size, resize=image_size, stretch=False, train_crop="center", **options)

    @abstractmethod
    def annotated(self, split: Split) -> AnnotatedImages:
        """Read the annotations of a split on disk. Raises `LabelFileError` or `OSError`."""

    def images_of(self, split: Split) -> AnnotatedImages:
        """Return `annotated(split)`, read once and checked against the images on disk. Raises `UserError`."""
        if split not in self._read:
            try:
                found = self.annotated(split)
            except LabelFileError as error:
                raise UserError(f"data={self.name}: {error}") from error
            if missing := missing_files(self.root, found.paths):
                raise self.layout_error(f"{self.root} lacks {first_few(missing)}, which the annotations list")
            self._read[split] = found
        return self._read[split]

    def layout_error(self, problem: str) -> UserError:
        """Build the error for files that are missing or not where they are expected."""
        return UserError(f"data={self.name}: {problem}; {self.instructions}")

    def check_layout(self) -> None:
        if not self.root.is_dir():
            raise self.layout_error(f"no folder {self.root}")
        for split in SPLITS:
            sizes = self.images_of(split).sizes
            if problem := size_problem(self.files(split), sizes):
                raise UserError(f"data={self.name}: {problem}")

    def files(self, split: Split) -> ImageFiles:
        found = self.images_of(split)
        return ImageFiles.from_lists(self.root, found.paths, first_labels(found.joined))

    def listed_objects(self, split: Split) -> Objects:
        """Return the objects of the files that `listed(split)` lists. Raises `UserError`."""
        return self.images_of(split).joined

    def objects(self, split: Split) -> Objects:
        source, members = self.members(split)
        return self.listed_objects(source).take(members)

    def image_ids(self, split: Split) -> Sequence[int]:
        source, members = self.members(split)
        ids = self.images_of(source).ids
        return [ids[int(member)] for member in members] if ids else super().image_ids(split)

    def fingerprint(self) -> str:
        digests = (self.listed_objects(split).digest for split in SPLITS)
        return " ".join([super().fingerprint(), *digests])

    def left_out(self) -> LeftOut:
        found = LeftOut()
        for split in SPLITS:
            found.add("boxes without area", self.images_of(split).empty)
        return found

    def _report_untested_classes(self) -> None:
        """Log nothing: an image has no class of its own here."""

    def given_labels(self) -> Integers:
        """Return nothing to check: an image has no class of its own here."""
        return self.listed("train").labels[:0]
