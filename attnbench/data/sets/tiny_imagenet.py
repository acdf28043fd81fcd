"""Tiny ImageNet: 200 of ImageNet's classes at 64x64 pixels, made for Stanford's course CS231n (Le and Yang, 2015).

`tiny-imagenet-200/` holds `wnids.txt`, `train/<wnid>/images/` with `train/<wnid>/<wnid>_boxes.txt`, and `val/images/`
with `val/val_annotations.txt`. The labels of the test images were never released, so `val` is the test split, as in
other work. Boxes are in pixels and include the last one. Classes without a folder in `train` are not part of the set,
and their images in `val` are left out.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import (
    LabelFileError,
    class_names,
    labels_from_names,
    numbers,
    read_lines,
    read_rows,
)


class TinyImageNet(PublishedDataSet):
    """100,000 training and 10,000 test images. Class names are WordNet's ids. Options as in `FileDataSet`."""

    name = "tiny_imagenet"
    folder = "tiny-imagenet-200"
    required = ("wnids.txt", "train", "val/val_annotations.txt", "val/images")
    all_classes = 200
    counts = (100_000, 10_000)
    terms = "ImageNet's: research and education only"
    source = "tiny-imagenet-200.zip from cs231n.stanford.edu"
    extra_label_files = ("train/*/*_boxes.txt",)

    def read(self) -> LabelledSplits:
        names, annotations = self.path_of("wnids.txt"), self.path_of("val/val_annotations.txt")
        whole = class_names(names, sorted(read_lines(names)))
        classes = [wnid for wnid in whole if self.path_of(f"train/{wnid}").is_dir()]
        if len(classes) < 2:
            raise LabelFileError(
                self.path_of("train"), f"holds {len(classes)} of the classes in {names.name}, not 2 or more"
            )
        listed = read_rows(annotations, 2)
        labels_from_names(annotations, [row[1] for row in listed], names, whole)
        rows = [row for row in listed if row[1] in set(classes)]
        labels = labels_from_names(annotations, [row[1] for row in rows], names, classes)
        boxes = to_edges(annotations, ((row[0], row[2:6]) for row in rows))
        test = ImageFiles.from_lists(self.home, [f"val/images/{row[0]}" for row in rows], labels, boxes)
        return LabelledSplits(
            tuple(classes),
            self._train(classes),
            test,
            complete_folders=(*map(folder_of_class, classes), "val/images"),
            absent=frozenset(f"val/images/{row[0]}" for row in listed if row[1] not in set(classes)),
        )

    def _train(self, classes: Sequence[str]) -> ImageFiles:
        paths: list[str] = []
        labels: list[int] = []
        boxes = []
        for label, wnid in enumerate(classes):
            path = self.path_of(f"train/{wnid}/{wnid}_boxes.txt")
            rows = sorted(read_rows(path))
            paths += [f"{folder_of_class(wnid)}/{row[0]}" for row in rows]
            labels += [label] * len(rows)
            boxes.append(to_edges(path, ((row[0], row[1:5]) for row in rows)))
        return ImageFiles.from_lists(self.home, paths, labels, np.concatenate(boxes))


def folder_of_class(wnid: str) -> str:
    """Return the folder of a class's training images."""
    return f"train/{wnid}/images"


def to_edges(path: Path, rows: Iterable[tuple[str, Sequence[str]]]) -> NDArray[np.int64]:
    """Return the edges (N, 4) of boxes that include their last pixels."""
    return numbers(path, rows, int) + np.array((0, 0, 1, 1))
