"""Stanford Dogs: Khosla et al., "Novel Dataset for Fine-Grained Image Categorization", 2011.

The authors' archives in one folder: `Images/`, `Annotation/`, and the lists, there or in `lists/`. Images come from
ImageNet, so networks that were trained on it have seen them. If an image shows several dogs of its breed, the box is
that of the largest. Boxes are the authors' numbers, unchanged; whether they count pixels from 0 or 1 is not documented.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles, first_few
from attnbench.data.sources.label_files import (
    LabelFileError,
    class_names,
    integers,
    labels_from_names,
    name_class,
    read_boxes,
    read_mat,
    require_training_images,
)


class StanfordDogs(PublishedDataSet):
    """12,000 training and 8,580 test images of 120 breeds of dogs. Options as in `FileDataSet`."""

    name = "stanford_dogs"
    all_classes = 120
    counts = (12_000, 8_580)
    terms = "ImageNet's: research and education only"
    folder = "stanford_dogs"
    required = ("train_list.mat", "test_list.mat", "Annotation", "Images")
    alternative_folder = "lists"
    source = "images.tar, annotation.tar and lists.tar from Stanford's page of the Dogs data set"
    hash_all_sizes = False

    def read(self) -> LabelledSplits:
        breeds: dict[int, str] = {}
        lists = {path: self._names(path, breeds) for path in map(self.path_of, self.required[:2])}
        self._require_annotations([name for names in lists.values() for name in names])
        first = self.path_of(self.required[0])
        classes = class_names(first, (breeds[number] for number in sorted(breeds)))
        train, test = (
            ImageFiles.from_lists(
                self.home,
                [f"Images/{name}" for name in names],
                labels_from_names(path, [name.partition("/")[0] for name in names], first, classes),
            )
            for path, names in lists.items()
        )
        require_training_images(first, classes, train.labels)
        return LabelledSplits(classes, train, test)

    def _names(self, path: Path, breeds: dict[int, str]) -> list[str]:
        """Read the images of a list, `<breed>/<image>`, and collect the names of breeds by number in `breeds`."""
        names = [str(name) for name in read_mat(path, "file_list")]
        numbers = integers(path, read_mat(path, "labels")).tolist()
        if len(names) != len(numbers):
            raise LabelFileError(path, f"has {len(names)} images and {len(numbers)} labels")
        for name, number in zip(names, numbers, strict=True):
            name_class(path, name, number, name.partition("/")[0], breeds)
        return names

    def _require_annotations(self, names: list[str]) -> None:
        folder = self.path_of("Annotation")
        present = {
            f"{breed}/{path.name}"
            for breed in {name.partition("/")[0] for name in names}
            if (folder / breed).is_dir()
            for path in (folder / breed).iterdir()
        }
        missing = [name for name in names if name.rpartition(".")[0] not in present]
        if missing:
            raise LabelFileError(folder, f"lacks {first_few(missing)}, which the lists contain")

    def with_boxes(self, files: ImageFiles) -> ImageFiles:
        names = [Path(os.fsdecode(path)).with_suffix("").relative_to("Images") for path in files.paths]
        boxes = {breed: read_boxes(self.path_of("Annotation") / breed) for breed in {name.parent for name in names}}
        rows = [self._largest(name, boxes[name.parent][name.name]) for name in names]
        return replace(files, boxes=np.array(rows, np.float32).reshape(-1, 4))

    def _largest(self, name: Path, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(boxes):
            raise LabelFileError(self.path_of("Annotation") / name, "has no box")
        extents = boxes[:, 2:] - boxes[:, :2]
        return boxes[extents.prod(axis=1, dtype=np.float64).argmax()]
