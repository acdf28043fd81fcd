"""Oxford-IIIT Pet: Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012.

`oxford-iiit-pet/` holds `images/<breed>_<number>.jpg` and, in `annotations/`, `trainval.txt`, `test.txt` (a line each:
image, class, species, breed) and `xmls/`, with the head's box for nearly all images of `trainval.txt` and for none of
`test.txt`. Boxes are in Pascal VOC's format: they count pixels from 1 and include the last one.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import (
    class_names,
    labels_from_names,
    name_class,
    numbers,
    read_boxes,
    read_rows,
)


class Pets(PublishedDataSet):
    """3,680 training and 3,669 test images of 37 breeds of cats and dogs. Options as in `FileDataSet`."""

    name = "pets"
    folder = "oxford-iiit-pet"
    required = ("annotations/trainval.txt", "annotations/test.txt", "images")
    all_classes = 37
    counts = (3_680, 3_669)
    terms = "CC BY-SA 4.0; photos remain their owners'"
    source = "images.tar.gz and annotations.tar.gz from robots.ox.ac.uk/~vgg/data/pets"

    def read(self) -> LabelledSplits:
        breeds: dict[int, str] = {}
        lists = {path: self._images(path, breeds) for path in map(self.path_of, self.required[:2])}
        first = self.path_of(self.required[0])
        classes = class_names(first, (breeds[number] for number in sorted(breeds)))
        train, test = (
            ImageFiles.from_lists(
                self.home,
                [f"images/{image}.jpg" for image in images],
                labels_from_names(path, list(map(breed_of, images)), first, classes),
            )
            for path, images in lists.items()
        )
        return LabelledSplits(classes, train, test)

    def _images(self, path: Path, breeds: dict[int, str]) -> list[str]:
        """Read the images of a list, without extension, and collect the names of breeds by number in `breeds`."""
        rows = read_rows(path, 2)
        for row, (number,) in zip(rows, numbers(path, ((row[0], row[1:2]) for row in rows), int, 1), strict=True):
            name_class(path, row[0], int(number), breed_of(row[0]), breeds)
        return [row[0] for row in rows]

    def with_boxes(self, files: ImageFiles) -> ImageFiles:
        """Add the box of each image's first head; NaN where none is marked."""
        folder = self.path_of("annotations/xmls")
        marked = read_boxes(folder) if folder.is_dir() else {}
        none = np.full((1, 4), np.nan, np.float32)
        heads = [marked.get(Path(os.fsdecode(path)).stem, none) for path in files.paths]
        boxes = np.array([(*boxes, *none)[0] for boxes in heads], np.float32).reshape(-1, 4)
        known = not np.isnan(boxes).all()
        return replace(files, boxes=boxes - np.array((1, 1, 0, 0), np.float32)) if known else files


def breed_of(image: str) -> str:
    """Return the breed in an image's name."""
    return image.rpartition("_")[0]
