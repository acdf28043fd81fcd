"""CUB-200-2011: Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011.

In the layout of the archive CUB_200_2011.tgz. Boxes are the authors' x, y, width and height as they stand; a few run
past the image's edge.
"""

import numpy as np

from attnbench.data.files import ImageFiles, first_of
from attnbench.data.fine_grained import FineGrained, Labelled
from attnbench.data.labels import (
    Disagreement,
    four_numbers,
    numbered,
    read_table,
    require_known,
    require_same,
)


class CUB200(FineGrained):
    """5,994 training and 5,794 test images of 200 kinds of birds. Options as in `StreamedDataSet`."""

    name = "cub200"
    all_classes = 200
    counts = (5_994, 5_794)
    terms = "non-commercial research only; photos remain their owners'"
    folder = "CUB_200_2011"
    parts = (
        "images.txt",
        "classes.txt",
        "image_class_labels.txt",
        "train_test_split.txt",
        "bounding_boxes.txt",
        "images",
    )
    how = (
        "set data.root to the folder that holds CUB_200_2011, as the archive CUB_200_2011.tgz unpacks, which Caltech's "
        "vision lab gives on its page of CUB-200-2011"
    )

    def read(self) -> Labelled:
        images, classes, labels, splits, boxes = map(self.part, self.parts[:-1])
        paths, names, label_of, split_of, box_of = map(read_table, (images, classes, labels, splits, boxes))
        for path, table in ((labels, label_of), (splits, split_of), (boxes, box_of)):
            require_same(path, table, images, paths)
        require_known(labels, label_of.values(), classes, names)
        odd = [key for key, split in split_of.items() if split not in ("0", "1")]
        if odd:
            raise Disagreement(f"{splits}: {first_of(odd)}: must be 1, to train with, or 0")
        order = numbered(names, classes)
        place = {key: number for number, key in enumerate(order)}

        def split(code: str) -> ImageFiles:
            chosen = [key for key in numbered(paths, images) if split_of[key] == code]
            corner, extent = np.split(four_numbers(boxes, box_of, chosen), 2, axis=1)
            return ImageFiles.named(
                self.home,
                [f"images/{paths[key]}" for key in chosen],
                [place[label_of[key]] for key in chosen],
                np.concatenate([corner, corner + extent], axis=1),
            )

        return Labelled(tuple(names[key] for key in order), split("1"), split("0"))
