"""The 1,797 handwritten digits of 8x8 pixels that scikit-learn bundles (UCI, Alpaydin and Kaynak, 1998)."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attnbench.data.bases.dataset import SplitDataSet
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import hold_out

TEST_IMAGES = 360
TOTAL_IMAGES = 1797


@cache
def read_digits(train: bool) -> Arrays:
    """Read the 1,437 training or 360 test digits (N, 8, 8, 1) of a fixed, class-balanced split."""
    table = bundled_table()
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)  # the file holds 17 grey levels
    labels = table[:, -1].astype(np.int64)
    test = hold_out(labels, TEST_IMAGES, seed=1)
    return Arrays(images, labels).take(~test if train else test)


def bundled_table() -> npt.NDArray[np.float64]:
    """Read scikit-learn's file of digits, a row of 64 pixels and a label each (1797, 65).

    The file is read without importing scikit-learn, which takes seconds where pandas is installed, in every run.

    Raises:
        FileNotFoundError: scikit-learn is not installed, or keeps the file elsewhere.
    """
    package = find_spec("sklearn")
    folder = Path(package.origin).parent if package and package.origin else Path("sklearn")
    return np.loadtxt(folder / "datasets" / "data" / "digits.csv.gz", delimiter=",")


class Digits(SplitDataSet):
    """The bundled digits: no download, and seconds of training. Options as in `DataSet`."""

    classes = tuple("0123456789")
    image_size = 8
    channels = 1
    train_images = TOTAL_IMAGES - TEST_IMAGES
    class_counts = (142, 146, 141, 147, 145, 146, 145, 143, 138, 144)
    counts = (train_images, TEST_IMAGES)
    terms = "CC BY 4.0"

    def fingerprint(self) -> str:
        return "scikit-learn digits"

    def read(self, train: bool) -> Arrays:
        return read_digits(train)
