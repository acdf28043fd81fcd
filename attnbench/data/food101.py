"""Food-101: Bossard, Guillaumin, Van Gool, "Food-101 – Mining Discriminative Components with Random Forests", 2014.

`food-101/` holds `images/<class>/<id>.jpg` and, in `meta/`, `classes.txt`, `train.txt` and `test.txt`. Labels of
training images are noisy on purpose; those of test images were cleaned by hand.
"""

from collections.abc import Sequence

from attnbench.data.base import Split
from attnbench.data.files import ImageFiles, first_of
from attnbench.data.released import ReleasedDataSet


class Food101(ReleasedDataSet):
    """75,750 training and 25,250 test images, 750 and 250 of each dish. Options as in `StreamedDataSet`."""

    name = "food101"
    folder = "food-101"
    needed = ("meta/classes.txt", "meta/train.txt", "meta/test.txt", "images")
    all_classes = 101
    counts = (75_750, 25_250)
    terms = "photos of Foodspotting's users: scientific fair use only"
    source = "food-101.tar.gz from data.vision.ee.ethz.ch"

    def read_class_names(self) -> Sequence[str]:
        return self.lines("meta/classes.txt")

    def files(self, split: Split) -> ImageFiles:
        if split == "validation":
            return ImageFiles.none(self.home)
        lists = {file: self._paths(file) for file in ("meta/train.txt", "meta/test.txt")}
        self.require_apart(lists)
        self.require_named(" and ".join(lists), "images", [path for paths in lists.values() for path in paths])
        file = f"meta/{split}.txt"
        names = [path.split("/")[1] for path in lists[file]]
        self.require_there(file, lists[file])
        return ImageFiles.named(self.home, lists[file], self.labels_of(file, names, self.classes))

    def _paths(self, file: str) -> list[str]:
        """Images that a list names, as `<class>/<id>`."""
        lines = self.lines(file)
        odd = [line for line in lines if line.count("/") != 1]
        if odd:
            raise self.disagreement(file, f"has lines that are not of the form <class>/<id>: {first_of(odd)}")
        return [f"images/{line}.jpg" for line in lines]
