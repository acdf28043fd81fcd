"""CUB-200-2011: Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011.

In the layout of the archive CUB_200_2011.tgz. Boxes are the authors' x, y, width and height as they stand; a few run
past the image's edge.
"""

import numpy as np

from attnbench.data.bases.published import Labelled, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles, first_of
from attnbench.data.sources.label_files import (
    LabelFileError,
    distinct,
    labels_of,
    numbered,
    numbers,
    read_table,
    require_same,
    require_trained,
)


class CUB200(PublishedDataSet):
    """5,994 training and 5,794 test images of 200 kinds of birds. Options as in `FileDataSet`."""

    name = "cub200"
    all_classes = 200
    counts = (5_994, 5_794)
    terms = "non-commercial research only; photos remain their owners'"
    folder = "CUB_200_2011"
    needed = (
        "images.txt",
        "classes.txt",
        "image_class_labels.txt",
        "train_test_split.txt",
        "bounding_boxes.txt",
        "images",
    )
    source = "CUB_200_2011.tgz from the page of CUB-200-2011 of Caltech's vision lab"
    every_size = False

    def read(self) -> Labelled:
        images, classes, labels, splits, boxes = map(self.part, self.needed[:-1])
        paths, names, label_of, split_of, box_of = map(read_table, (images, classes, labels, splits, boxes))
        for path, table in ((labels, label_of), (splits, split_of), (boxes, box_of)):
            require_same(path, table, images, paths)
        odd = [key for key, split in split_of.items() if split not in ("0", "1")]
        if odd:
            raise LabelFileError(splits, f"{first_of(odd)}: must be 1, to train with, or 0")
        order = numbered(classes, names)

        def split(code: str) -> ImageFiles:
            chosen = [key for key in numbered(images, paths) if split_of[key] == code]
            corner, extent = np.split(numbers(boxes, ((key, box_of[key].split()) for key in chosen)), 2, axis=1)
            return ImageFiles.named(
                self.home,
                [f"images/{paths[key]}" for key in chosen],
                labels_of(labels, [label_of[key] for key in chosen], classes, order),
                np.concatenate([corner, corner + extent], axis=1),
            )

        found = Labelled(distinct(classes, (names[key] for key in order)), split("1"), split("0"))
        require_trained(classes, found.classes, found.train.labels)
        return found
