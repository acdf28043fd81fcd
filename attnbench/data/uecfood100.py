"""UEC FOOD-100: Matsuda, Hoashi, Yanai, "Recognition of multiple-food images by detecting candidate regions", 2012.

`UECFOOD100/` holds `category.txt` (`id name`), and in `1` to `100` photos and `bb_info.txt` (`img x1 y1 x2 y2`), the
boxes of one kind of dish. A photo of several dishes lies in the folder of each, under the same number. What is
classified is the content of a box: Rodríguez et al. (ECCV 2018) crop to the boxes before training.

No split was released. Attend and Rectify's log has 2,923 test images, a fifth; ours is of our own making: a fifth of
each class's boxes, rounded up, by a fixed generator, in whole photos, so that no photo lies on both sides. Since photos
must fit, a class may have a few boxes less. Images held out for validation are whole photos too.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnbench.data.base import Split
from attnbench.data.files import ImageFiles, first_of
from attnbench.data.groups import hold_out_groups, take_groups
from attnbench.data.released import ReleasedDataSet

Integers = NDArray[np.int64]
TEST_SHARE = 5
"""One box in so many is tested on."""


class Boxes(NamedTuple):
    """All boxes of the set, by class.

    paths: (N,), of their photos. labels: (N,). crops: (N, 4). photos: (N,), equal for boxes of the same photo.
    """

    paths: list[str]
    labels: Integers
    crops: Integers
    photos: Integers


class UECFood100(ReleasedDataSet):
    """About 14,000 boxes of 100 dishes, each of which is an image. Options as in `StreamedDataSet`."""

    name = "uecfood100"
    folder = "UECFOOD100"
    needed = ("category.txt",)
    all_classes = 100
    counts = (14_361,)
    terms = "non-commercial research only"
    source = "UECFOOD100 from foodcam.mobi"

    @cached_property
    def dishes(self) -> dict[str, str]:
        """Names of dishes by their folders."""
        rows = [line.split(maxsplit=1) for line in self.lines("category.txt")[1:]]
        nameless = [row[0] for row in rows if len(row) < 2]
        if nameless:
            raise self.disagreement("category.txt", f"gives no name to {first_of(nameless)}")
        return dict(rows)

    def read_class_names(self) -> Sequence[str]:
        return list(self.dishes.values())

    def files(self, split: Split) -> ImageFiles:
        if split == "validation":
            return ImageFiles.none(self.home)
        boxes, chosen = self._boxes, self._tested == (split == "test")
        paths = [path for path, of_split in zip(boxes.paths, chosen, strict=True) if of_split]
        return ImageFiles.named(self.home, paths, boxes.labels[chosen], crops=boxes.crops[chosen])

    def held_out(self) -> NDArray[np.bool_]:
        trained = ~self._tested
        _, photos = np.unique(self._boxes.photos[trained], return_inverse=True)
        return hold_out_groups(self._boxes.labels[trained], photos, self.validation)

    @cached_property
    def _boxes(self) -> Boxes:
        self.look()
        paths: list[str] = []
        labels: list[int] = []
        crops: list[list[int]] = []
        for label, folder in enumerate(self.dishes):
            file = f"{folder}/bb_info.txt"
            rows = list(self.rows(file, 5, header=True))
            listed = [f"{folder}/{photo}.jpg" for photo, *_ in rows]
            self.require_there(file, listed)
            paths += listed
            labels += [label] * len(rows)
            crops += [self.numbers(file, row[1:5]) for row in rows]
        names = [path.partition("/")[2] for path in paths]
        return Boxes(
            paths, np.array(labels, np.int64), np.array(crops, np.int64), np.unique(names, return_inverse=True)[1]
        )

    @cached_property
    def _tested(self) -> NDArray[np.bool_]:
        """Mask (N,) of the boxes that are tested on."""
        boxes = self._boxes
        counts = np.bincount(boxes.labels, minlength=len(self.dishes))
        return take_groups(boxes.labels, boxes.photos, -(-counts // TEST_SHARE))
