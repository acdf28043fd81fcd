"""FGVC-Aircraft: Maji et al., "Fine-Grained Visual Classification of Aircraft", 2013.

In the layout of the archive fgvc-aircraft-2013b.tar.gz. Training images are the authors' `trainval`, as in papers on
attention; `data.validation` holds some of them out. Boxes count pixels from 1 and include the last one. The authors ask
to remove a banner of 20 rows at the bottom of each image, which tells of the photographer; GGAM's released code reads
prepared folders and does not show whether its images still have it.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.data.files import ImageFiles, first_of
from attnbench.data.fine_grained import FineGrained, Labelled
from attnbench.data.labels import Disagreement, four_numbers, read_lines, read_table, require_known
from attnbench.errors import require_choice

if TYPE_CHECKING:
    from attnbench.data.decode import Form

LEVELS = {"variant": ("variants.txt", 100), "family": ("families.txt", 70), "manufacturer": ("manufacturers.txt", 30)}
"""Where the classes of a level are named, and how many there are."""
BANNER = 20
"""Rows at the bottom of each image."""


class FGVCAircraft(FineGrained):
    """6,667 training and 3,333 test images of aircraft.

    level: what is told apart: 100 variants (Boeing 737-700), 70 families (Boeing 737) or 30 manufacturers (Boeing).
    crop_banner: cut the banner off. Further options as in `StreamedDataSet`.
    """

    name = "fgvc_aircraft"
    counts = (6_667, 3_333)
    terms = "non-commercial research only; photos remain their owners'"
    folder = "fgvc-aircraft-2013b/data"
    how = (
        "set data.root to the folder that holds fgvc-aircraft-2013b, as fgvc-aircraft-2013b.tar.gz unpacks, an archive "
        "that Oxford's Visual Geometry Group gives on its page of FGVC-Aircraft"
    )

    def __init__(self, level: str, crop_banner: bool, **options: Any) -> None:
        require_choice("level", level, tuple(LEVELS))
        self.level, self.crop_banner = level, crop_banner
        splits = (f"images_{level}_{split}.txt" for split in ("trainval", "test"))
        self.parts = (LEVELS[level][0], *splits, "images_box.txt", "images")
        super().__init__(**options)

    @property
    def all_classes(self) -> int:
        return LEVELS[self.level][1]

    @property
    def reading(self) -> str:
        return self.level

    @property
    def form(self) -> "Form":
        return replace(super().form, trim=BANNER if self.crop_banner else 0)

    def read(self) -> Labelled:
        names, *splits, boxes = map(self.part, self.parts[:-1])
        classes = read_lines(names)
        if len(set(classes)) < len(classes):
            raise Disagreement(f"{names}: a class stands there twice")
        box_of = read_table(boxes)
        train, test = (self._split(path, names, classes, boxes, box_of) for path in splits)
        return Labelled(tuple(classes), train, test)

    def _split(self, path: Path, names: Path, classes: list[str], boxes: Path, box_of: dict[str, str]) -> ImageFiles:
        labels = read_table(path)
        require_known(path, labels.values(), names, classes)
        missing = [image for image in labels if image not in box_of]
        if missing:
            raise Disagreement(f"{boxes}: lacks {first_of(missing)}, which {path.name} has")
        place = {name: label for label, name in enumerate(classes)}
        return ImageFiles.named(
            self.home,
            [f"images/{image}.jpg" for image in labels],
            [place[name] for name in labels.values()],
            four_numbers(boxes, box_of, list(labels)) - (1, 1, 0, 0),
        )
