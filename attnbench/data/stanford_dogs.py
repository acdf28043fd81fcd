"""Stanford Dogs: Khosla et al., "Novel Dataset for Fine-Grained Image Categorization", 2011.

The authors' archives beside one another: `Images/`, `Annotation/`, and the lists, also in `lists/`. Images come from
ImageNet, so networks that were trained on it have seen them. Where a picture shows several dogs of its breed, the box
is that of the largest. Boxes are the authors' numbers as they stand; whether they count pixels from 0 or 1 is not said.
"""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from attnbench.data.base import Split
from attnbench.data.files import ImageFiles, first_of
from attnbench.data.fine_grained import FineGrained, Labelled, remembered
from attnbench.data.labels import Disagreement, read_mat

Box = tuple[float, float, float, float]


class StanfordDogs(FineGrained):
    """12,000 training and 8,580 test images of 120 breeds of dogs. Options as in `StreamedDataSet`."""

    name = "stanford_dogs"
    all_classes = 120
    counts = (12_000, 8_580)
    terms = "ImageNet's: research and education only"
    folder = "stanford_dogs"
    parts = ("train_list.mat", "test_list.mat", "Annotation", "Images")
    also_in = "lists"
    how = (
        "set data.root to the folder that holds stanford_dogs, and in it what the archives images.tar, annotation.tar "
        "and lists.tar unpack to, which Stanford's page of the Dogs data set gives"
    )

    def read(self) -> Labelled:
        breeds: dict[int, str] = {}
        splits = [self._entries(self.part(name), breeds) for name in self.parts[:2]]
        self._require_annotations([name for names, _ in splits for name in names])
        order = sorted(breeds)
        place = {number: label for label, number in enumerate(order)}
        train, test = (
            ImageFiles.named(self.home, [f"Images/{name}" for name in names], [place[number] for number in numbers])
            for names, numbers in splits
        )
        return Labelled(tuple(breeds[number] for number in order), train, test)

    def _entries(self, path: Path, breeds: dict[int, str]) -> tuple[list[str], list[int]]:
        """Images of a list and the numbers of their breeds, whose names are gathered in `breeds`."""
        names = [str(name) for name in read_mat(path, "file_list")]
        numbers = [int(number) for number in read_mat(path, "labels")]
        if len(names) != len(numbers):
            raise Disagreement(f"{path}: has {len(names)} images and {len(numbers)} labels")
        for name, number in zip(names, numbers, strict=True):
            breed = breeds.setdefault(number, name.partition("/")[0])
            if not name.startswith(f"{breed}/"):
                raise Disagreement(f"{path}: {name}: class {number} is {breed} elsewhere")
        if len(set(breeds.values())) < len(breeds):
            raise Disagreement(f"{path}: a breed has two class numbers")
        return names, numbers

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
            raise Disagreement(f"{folder}: lacks {first_of(missing)}, which the lists name")

    def files(self, split: Split) -> ImageFiles:
        found = super().files(split)
        if not len(found):
            return found
        names = [Path(os.fsdecode(path)).with_suffix("").relative_to("Images") for path in found.paths]
        try:
            boxes = {breed: self._boxes(breed) for breed in {name.parent for name in names}}
        except Disagreement as error:
            self.refuse(error)
        return replace(found, boxes=np.array([boxes[name.parent][name.name] for name in names], np.float32))

    def _boxes(self, breed: Path) -> dict[str, Box]:
        """Boxes of a breed's images; 20,580 files are not read again for every configuration of a sweep."""
        folder = self.part("Annotation") / breed
        return remembered(folder, [folder], partial(read_boxes, folder))


def read_boxes(folder: Path) -> dict[str, Box]:
    """The largest box of each annotation in a folder. Raises `Disagreement`."""
    return {path.name: largest_box(path) for path in folder.iterdir() if not path.name.startswith(".")}


def largest_box(path: Path) -> Box:
    """Left, top, right and bottom of the largest object of an annotation. Raises `Disagreement`."""
    try:
        objects = ElementTree.parse(path).getroot().iter("bndbox")
        boxes = [tuple(float(box.findtext(edge, "")) for edge in ("xmin", "ymin", "xmax", "ymax")) for box in objects]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise Disagreement(f"{path}: cannot be read as an annotation: {error}") from error
    if not boxes:
        raise Disagreement(f"{path}: has no box")
    left, top, right, bottom = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return left, top, right, bottom
