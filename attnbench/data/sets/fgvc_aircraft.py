"""FGVC-Aircraft: Maji et al., "Fine-Grained Visual Classification of Aircraft", 2013.

In the layout of the archive fgvc-aircraft-2013b.tar.gz. Training images are the authors' `trainval`, as in papers on
attention; `data.validation` holds some of them out. Boxes count pixels from 1 and include the last one. The authors ask
users to remove a banner of 20 rows with the photographer's name at the bottom of each image; GGAM's released code reads
prepared folders and does not show whether its images still have it.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import (
    class_names,
    labels_from_names,
    numbers,
    read_lines,
    read_table,
    require_all,
    require_training_images,
)
from attnbench.errors import require_choice

if TYPE_CHECKING:
    from attnbench.data.transforms.decode import StoredFormat

LEVELS = {"variant": ("variants.txt", 100), "family": ("families.txt", 70), "manufacturer": ("manufacturers.txt", 30)}
"""The file that names the classes of each level, and their number."""
BANNER = 20
"""Rows at the bottom of each image."""


class FGVCAircraft(PublishedDataSet):
    """6,667 training and 3,333 test images of aircraft.

    Args:
        level: the classes: 100 variants (Boeing 737-700), 70 families (Boeing 737) or 30 manufacturers (Boeing).
        crop_banner: cut the banner off.
        options: see `FileDataSet`.
    """

    name = "fgvc_aircraft"
    counts = (6_667, 3_333)
    terms = "non-commercial research only; photos remain their owners'"
    folder = "fgvc-aircraft-2013b/data"
    source = "fgvc-aircraft-2013b.tar.gz from the page of FGVC-Aircraft of Oxford's Visual Geometry Group"
    hash_all_sizes = False
    read_options = ("level",)

    def __init__(self, level: str, crop_banner: bool, **options: Any) -> None:
        require_choice("level", level, tuple(LEVELS))
        self.level, self.crop_banner = level, crop_banner
        splits = (f"images_{level}_{split}.txt" for split in ("trainval", "test"))
        self.required = (LEVELS[level][0], *splits, "images_box.txt", "images")
        super().__init__(**options)

    @property
    def all_classes(self) -> int:
        return LEVELS[self.level][1]

    @property
    def form(self) -> "StoredFormat":
        return replace(super().form, trim=BANNER if self.crop_banner else 0)

    def read(self) -> LabelledSplits:
        names, *splits, boxes = map(self.path_of, self.required[:-1])
        classes = class_names(names, read_lines(names))
        box_of = read_table(boxes)
        train, test = (self._split(path, names, classes, boxes, box_of) for path in splits)
        require_training_images(names, classes, train.labels)
        return LabelledSplits(classes, train, test)

    def _split(
        self, path: Path, names: Path, classes: tuple[str, ...], boxes: Path, box_of: dict[str, str]
    ) -> ImageFiles:
        class_of = read_table(path)
        labels = labels_from_names(path, list(class_of.values()), names, classes)
        require_all(boxes, box_of, path, class_of)
        edges = numbers(boxes, ((image, box_of[image].split()) for image in class_of))
        return ImageFiles.from_lists(
            self.home, [f"images/{image}.jpg" for image in class_of], labels, edges - (1, 1, 0, 0)
        )
