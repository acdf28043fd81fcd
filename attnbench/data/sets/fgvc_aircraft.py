"""FGVC-Aircraft: Maji et al., "Fine-Grained Visual Classification of Aircraft", 2013.

In the layout of the archive fgvc-aircraft-2013b.tar.gz. Training images are the authors' `trainval`, as in papers on
attention; `data.validation` holds some of them out. Boxes count pixels from 1 and include the last one. The authors ask
to remove a banner of 20 rows at the bottom of each image, which tells of the photographer; GGAM's released code reads
prepared folders and does not show whether its images still have it.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.data.bases.published import Labelled, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import (
    distinct,
    labels_of,
    numbers,
    read_lines,
    read_table,
    require_all,
    require_trained,
)
from attnbench.errors import require_choice

if TYPE_CHECKING:
    from attnbench.data.transforms.decode import StoredFormat

LEVELS = {"variant": ("variants.txt", 100), "family": ("families.txt", 70), "manufacturer": ("manufacturers.txt", 30)}
"""Where the classes of a level are named, and how many there are."""
BANNER = 20
"""Rows at the bottom of each image."""


class FGVCAircraft(PublishedDataSet):
    """6,667 training and 3,333 test images of aircraft.

    level: what is told apart: 100 variants (Boeing 737-700), 70 families (Boeing 737) or 30 manufacturers (Boeing).
    crop_banner: cut the banner off. Further options as in `FileDataSet`.
    """

    name = "fgvc_aircraft"
    counts = (6_667, 3_333)
    terms = "non-commercial research only; photos remain their owners'"
    folder = "fgvc-aircraft-2013b/data"
    source = "fgvc-aircraft-2013b.tar.gz from the page of FGVC-Aircraft of Oxford's Visual Geometry Group"
    every_size = False
    options = ("level",)

    def __init__(self, level: str, crop_banner: bool, **options: Any) -> None:
        require_choice("level", level, tuple(LEVELS))
        self.level, self.crop_banner = level, crop_banner
        splits = (f"images_{level}_{split}.txt" for split in ("trainval", "test"))
        self.needed = (LEVELS[level][0], *splits, "images_box.txt", "images")
        super().__init__(**options)

    @property
    def all_classes(self) -> int:
        return LEVELS[self.level][1]

    @property
    def form(self) -> "StoredFormat":
        return replace(super().form, trim=BANNER if self.crop_banner else 0)

    def read(self) -> Labelled:
        names, *splits, boxes = map(self.part, self.needed[:-1])
        classes = distinct(names, read_lines(names))
        box_of = read_table(boxes)
        train, test = (self._split(path, names, classes, boxes, box_of) for path in splits)
        require_trained(names, classes, train.labels)
        return Labelled(classes, train, test)

    def _split(
        self, path: Path, names: Path, classes: tuple[str, ...], boxes: Path, box_of: dict[str, str]
    ) -> ImageFiles:
        class_of = read_table(path)
        labels = labels_of(path, list(class_of.values()), names, classes)
        require_all(boxes, box_of, path, class_of)
        edges = numbers(boxes, ((image, box_of[image].split()) for image in class_of))
        return ImageFiles.named(self.home, [f"images/{image}.jpg" for image in class_of], labels, edges - (1, 1, 0, 0))
