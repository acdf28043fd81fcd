"""Tiny ImageNet: 200 of ImageNet's classes at 64x64 pixels, made for Stanford's course CS231n (Le and Yang, 2015).

`tiny-imagenet-200/` holds `wnids.txt`, `train/<wnid>/images/` with `train/<wnid>/<wnid>_boxes.txt`, and `val/images/`
with `val/val_annotations.txt`. The labels of its test images were never released, so, as everywhere, `val` is what is
tested on. Boxes are given in pixels, the last ones included.
"""

from collections.abc import Sequence

from attnbench.data.base import Split
from attnbench.data.files import ImageFiles
from attnbench.data.released import ReleasedDataSet


class TinyImageNet(ReleasedDataSet):
    """100,000 training and 10,000 test images. Class names are WordNet's ids. Options as in `StreamedDataSet`."""

    name = "tiny_imagenet"
    folder = "tiny-imagenet-200"
    needed = ("wnids.txt", "train", "val/val_annotations.txt", "val/images")
    all_classes = 200
    counts = (100_000, 10_000)
    terms = "ImageNet's: research and education only"
    source = "tiny-imagenet-200.zip from cs231n.stanford.edu"

    def read_class_names(self) -> Sequence[str]:
        return sorted(self.lines("wnids.txt"))

    def files(self, split: Split) -> ImageFiles:
        if split == "validation":
            return ImageFiles.none(self.home)
        return self._train() if split == "train" else self._test()

    def _train(self) -> ImageFiles:
        paths: list[str] = []
        labels: list[int] = []
        boxes: list[list[int]] = []
        for label, wnid in enumerate(self.classes):
            file, folder = f"train/{wnid}/{wnid}_boxes.txt", f"train/{wnid}/images"
            rows = sorted(self.rows(file, 5))
            named = [f"{folder}/{row[0]}" for row in rows]
            self.require_there(file, named)
            self.require_named(file, folder, named)
            paths += named
            labels += [label] * len(rows)
            boxes += [self._box(file, row[1:5]) for row in rows]
        return ImageFiles.named(self.home, paths, labels, boxes)

    def _test(self) -> ImageFiles:
        file = "val/val_annotations.txt"
        rows = list(self.rows(file, 6))
        paths = [f"val/images/{row[0]}" for row in rows]
        labels = self.labels_of(file, [row[1] for row in rows], self.classes)
        self.require_there(file, paths)
        self.require_named(file, "val/images", paths)
        return ImageFiles.named(self.home, paths, labels, [self._box(file, row[2:6]) for row in rows])

    def _box(self, file: str, words: Sequence[str]) -> list[int]:
        left, top, last_column, last_row = self.numbers(file, words)
        return [left, top, last_column + 1, last_row + 1]
