"""Stanford Cars: Krause et al., "3D Object Representations for Fine-Grained Categorization", 2013.

In torchvision's layout of the authors' archives: `devkit/`, `cars_train/`, `cars_test/`, and the labels of the test
images, which came later as a file of its own. Boxes count pixels from 1 and include the last one.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnbench.data.files import ImageFiles, first_of
from attnbench.data.fine_grained import FineGrained, Labelled
from attnbench.data.labels import Disagreement, field, read_mat


class StanfordCars(FineGrained):
    """8,144 training and 8,041 test images of 196 models of cars. Options as in `StreamedDataSet`."""

    name = "stanford_cars"
    all_classes = 196
    counts = (8_144, 8_041)
    terms = "non-commercial research and education only"
    folder = "stanford_cars"
    parts = (
        "devkit/cars_meta.mat",
        "devkit/cars_train_annos.mat",
        "cars_test_annos_withlabels.mat",
        "cars_test",
        "cars_train",
    )
    also_in = "devkit"
    how = (
        "set data.root to the folder that holds stanford_cars, and in it what the archives cars_train.tgz, "
        "cars_test.tgz and car_devkit.tgz unpack to, and cars_test_annos_withlabels.mat; Stanford's page of the "
        "Cars data set gave them, and torchvision's documentation of StanfordCars tells of copies"
    )

    def read(self) -> Labelled:
        meta, train, test = map(self.part, self.parts[:3])
        classes = tuple(map(str, read_mat(meta, "class_names")))
        return Labelled(
            classes, self._split(train, "cars_train", len(classes)), self._split(test, "cars_test", len(classes))
        )

    def _split(self, path: Path, folder: str, classes: int) -> ImageFiles:
        rows = read_mat(path, "annotations")
        names = [str(name) for name in field(path, rows, "fname")]
        labels = _integers(field(path, rows, "class")) - 1
        strange = [name for name, label in zip(names, labels, strict=True) if not 0 <= label < classes]
        if strange:
            raise Disagreement(f"{path}: {first_of(strange)}: class is not from 1 to {classes}")
        edges = (_integers(field(path, rows, f"bbox_{edge}")) for edge in ("x1", "y1", "x2", "y2"))
        boxes = np.stack(list(edges), axis=1) - (1, 1, 0, 0)
        return ImageFiles.named(self.home, [f"{folder}/{name}" for name in names], labels, boxes)


def _integers(values: NDArray[np.object_]) -> NDArray[np.int64]:
    """Numbers (N,) that MATLAB stored one by one, each as the smallest type that holds it."""
    return np.array([int(value) for value in values], np.int64)
