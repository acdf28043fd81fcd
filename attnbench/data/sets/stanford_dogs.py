"""Stanford Dogs: Khosla et al., "Novel Dataset for Fine-Grained Image Categorization", 2011.

The authors' archives beside one another: `Images/`, `Annotation/`, and the lists, also in `lists/`. Images come from
ImageNet, so networks that were trained on it have seen them. Where a picture shows several dogs of its breed, the box
is that of the largest. Boxes are the authors' numbers as they stand; whether they count pixels from 0 or 1 is not said.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.published import Labelled, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles, first_of
from attnbench.data.sources.label_files import (
    LabelFileError,
    distinct,
    integers,
    labels_of,
    name_class,
    read_boxes,
    read_mat,
    require_trained,
)


class StanfordDogs(PublishedDataSet):
    """12,000 training and 8,580 test images of 120 breeds of dogs. Options as in `FileDataSet`."""

    name = "stanford_dogs"
    all_classes = 120
    counts = (12_000, 8_580)
    terms = "ImageNet's: research and education only"
    folder = "stanford_dogs"
    needed = ("train_list.mat", "test_list.mat", "Annotation", "Images")
    also_in = "lists"
    source = "images.tar, annotation.tar and lists.tar from Stanford's page of the Dogs data set"
    every_size = False

    def read(self) -> Labelled:
        breeds: dict[int, str] = {}
        lists = {path: self._names(path, breeds) for path in map(self.part, self.needed[:2])}
        self._require_annotations([name for names in lists.values() for name in names])
        first = self.part(self.needed[0])
        classes = distinct(first, (breeds[number] for number in sorted(breeds)))
        train, test = (
            ImageFiles.named(
                self.home,
                [f"Images/{name}" for name in names],
                labels_of(path, [name.partition("/")[0] for name in names], first, classes),
            )
            for path, names in lists.items()
        )
        require_trained(first, classes, train.labels)
        return Labelled(classes, train, test)

    def _names(self, path: Path, breeds: dict[int, str]) -> list[str]:
        """Images of a list, `<breed>/<image>`; the breeds are gathered in `breeds`, by their numbers."""
        names = [str(name) for name in read_mat(path, "file_list")]
        numbers = integers(path, read_mat(path, "labels")).tolist()
        if len(names) != len(numbers):
            raise LabelFileError(path, f"has {len(names)} images and {len(numbers)} labels")
        for name, number in zip(names, numbers, strict=True):
            name_class(path, name, number, name.partition("/")[0], breeds)
        return names

    def _require_annotations(self, names: list[str]) -> None:
        folder = self.part("Annotation")
        present = {
            f"{breed}/{path.name}"
            for breed in {name.partition("/")[0] for name in names}
            if (folder / breed).is_dir()
            for path in (folder / breed).iterdir()
        }
        missing = [name for name in names if name.rpartition(".")[0] not in present]
        if missing:
            raise LabelFileError(folder, f"lacks {first_of(missing)}, which the lists name")

    def boxed(self, files: ImageFiles) -> ImageFiles:
        names = [Path(os.fsdecode(path)).with_suffix("").relative_to("Images") for path in files.paths]
        boxes = {breed: read_boxes(self.part("Annotation") / breed) for breed in {name.parent for name in names}}
        rows = [self._largest(name, boxes[name.parent][name.name]) for name in names]
        return replace(files, boxes=np.array(rows, np.float32).reshape(-1, 4))

    def _largest(self, name: Path, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(boxes):
            raise LabelFileError(self.part("Annotation") / name, "has no box")
        extents = boxes[:, 2:] - boxes[:, :2]
        return boxes[extents.prod(axis=1, dtype=np.float64).argmax()]
