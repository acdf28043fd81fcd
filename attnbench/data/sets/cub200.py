"""CUB-200-2011: Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011.

In the layout of the archive CUB_200_2011.tgz. Boxes are the authors' x, y, width and height, unchanged; a few extend
beyond the image.
"""

import numpy as np

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles, first_few
from attnbench.data.sources.label_files import (
    LabelFileError,
    class_names,
    labels_from_names,
    numbers,
    read_table,
    require_same,
    require_training_images,
    sorted_by_number,
)


class CUB200(PublishedDataSet):
    """5,994 training and 5,794 test images of 200 kinds of birds. Options as in `FileDataSet`."""

    name = "cub200"
    all_classes = 200
    counts = (5_994, 5_794)
    terms = "non-commercial research only; photos remain their owners'"
    folder = "CUB_200_2011"
    required = (
        "images.txt",
        "classes.txt",
        "image_class_labels.txt",
        "train_test_split.txt",
        "bounding_boxes.txt",
        "images",
    )
    source = "CUB_200_2011.tgz from the page of CUB-200-2011 of Caltech's vision lab"
    hash_all_sizes = False

    def read(self) -> LabelledSplits:
        images, classes, labels, splits, boxes = map(self.path_of, self.required[:-1])
        paths, names, label_of, split_of, box_of = map(read_table, (images, classes, labels, splits, boxes))
        for path, table in ((labels, label_of), (splits, split_of), (boxes, box_of)):
            require_same(path, table, images, paths)
        malformed = [key for key, split in split_of.items() if split not in ("0", "1")]
        if malformed:
            raise LabelFileError(splits, f"{first_few(malformed)}: must be 1, for training, or 0")
        order = sorted_by_number(classes, names)

        def split(code: str) -> ImageFiles:
            chosen = [key for key in sorted_by_number(images, paths) if split_of[key] == code]
            corner, extent = np.split(numbers(boxes, ((key, box_of[key].split()) for key in chosen)), 2, axis=1)
            return ImageFiles.from_lists(
                self.home,
                [f"images/{paths[key]}" for key in chosen],
                labels_from_names(labels, [label_of[key] for key in chosen], classes, order),
                np.concatenate([corner, corner + extent], axis=1),
            )

        content = LabelledSplits(class_names(classes, (names[key] for key in order)), split("1"), split("0"))
        require_training_images(classes, content.classes, content.train.labels)
        return content
