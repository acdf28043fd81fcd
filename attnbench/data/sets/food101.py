"""Food-101: Bossard, Guillaumin, Van Gool, "Food-101 – Mining Discriminative Components with Random Forests", 2014.

`food-101/` holds `images/<class>/<id>.jpg` and, in `meta/`, `classes.txt`, `train.txt` and `test.txt`. Labels of
training images were left noisy on purpose; those of test images were cleaned by hand.
"""

from collections.abc import Sequence
from pathlib import Path

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles, first_few
from attnbench.data.sources.label_files import LabelFileError, class_names, labels_from_names, read_lines


class Food101(PublishedDataSet):
    """75,750 training and 25,250 test images, 750 and 250 of each dish. Options as in `FileDataSet`."""

    name = "food101"
    folder = "food-101"
    required = ("meta/classes.txt", "meta/train.txt", "meta/test.txt", "images")
    all_classes = 101
    counts = (75_750, 25_250)
    terms = "photos of Foodspotting's users: scientific fair use only"
    source = "food-101.tar.gz from data.vision.ee.ethz.ch"

    def read(self) -> LabelledSplits:
        names, *lists = map(self.path_of, self.required[:3])
        classes = class_names(names, read_lines(names))
        train, test = (self._split(path, names, classes) for path in lists)
        return LabelledSplits(classes, train, test, complete_folders=("images",))

    def _split(self, path: Path, names: Path, classes: Sequence[str]) -> ImageFiles:
        lines = read_lines(path)
        malformed = [line for line in lines if line.count("/") != 1]
        if malformed:
            raise LabelFileError(path, f"has lines that are not of the form <class>/<id>: {first_few(malformed)}")
        labels = labels_from_names(path, [line.partition("/")[0] for line in lines], names, classes)
        return ImageFiles.from_lists(self.home, [f"images/{line}.jpg" for line in lines], labels)
