"""Stanford Cars: Krause et al., "3D Object Representations for Fine-Grained Categorization", 2013.

In torchvision's layout of the authors' archives: `devkit/`, `cars_train/`, `cars_test/`, and the labels of the test
images, which were published later in a separate file. Boxes count pixels from 1 and include the last one.
"""

from pathlib import Path

import numpy as np

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import (
    class_names,
    field,
    integers,
    labels_from_one,
    read_mat,
    require_training_images,
)


class StanfordCars(PublishedDataSet):
    """8,144 training and 8,041 test images of 196 models of cars. Options as in `FileDataSet`."""

    name = "stanford_cars"
    all_classes = 196
    counts = (8_144, 8_041)
    terms = "non-commercial research and education only"
    folder = "stanford_cars"
    required = (
        "devkit/cars_meta.mat",
        "devkit/cars_train_annos.mat",
        "cars_test_annos_withlabels.mat",
        "cars_test",
        "cars_train",
    )
    alternative_folder = "devkit"
    source = (
        "cars_train.tgz, cars_test.tgz, car_devkit.tgz and cars_test_annos_withlabels.mat, which Stanford's page of "
        "the Cars data set gave; torchvision's documentation of StanfordCars lists copies"
    )
    hash_all_sizes = False

    def read(self) -> LabelledSplits:
        meta, train, test = map(self.path_of, self.required[:3])
        classes = class_names(meta, map(str, read_mat(meta, "class_names")))
        splits = LabelledSplits(
            classes, self._split(train, "cars_train", len(classes)), self._split(test, "cars_test", len(classes))
        )
        require_training_images(meta, classes, splits.train.labels)
        return splits

    def _split(self, path: Path, folder: str, classes: int) -> ImageFiles:
        rows = read_mat(path, "annotations")
        names = [str(name) for name in field(path, rows, "fname")]
        labels = labels_from_one(path, names, integers(path, field(path, rows, "class")), classes)
        edges = (integers(path, field(path, rows, f"bbox_{edge}")) for edge in ("x1", "y1", "x2", "y2"))
        boxes = np.stack(list(edges), axis=1) - (1, 1, 0, 0)
        return ImageFiles.from_lists(self.home, [f"{folder}/{name}" for name in names], labels, boxes)
