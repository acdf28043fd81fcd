"""The 1,797 handwritten digits of 8x8 pixels that scikit-learn bundles (UCI, Alpaydin and Kaynak, 1998)."""

from functools import cache

import numpy as np

from attnbench.data.bases.dataset import SplitDataSet
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import hold_out

TEST_IMAGES = 360
TOTAL_IMAGES = 1797


@cache
def read_digits(train: bool) -> Arrays:
    """Read the 1,437 training or 360 test digits (N, 8, 8, 1) of a fixed, class-balanced split."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # files hold 17 grey levels
    labels = bunch.target.astype(np.int64)
    test = hold_out(labels, TEST_IMAGES, seed=1)
    return Arrays(images, labels).take(~test if train else test)


class Digits(SplitDataSet):
    """The bundled digits: no download, and seconds of training. Options as in `DataSet`."""

    classes = tuple("0123456789")
    image_size = 8
    channels = 1
    train_images = TOTAL_IMAGES - TEST_IMAGES
    counts = (train_images, TEST_IMAGES)
    terms = "CC BY 4.0"

    def fingerprint(self) -> str:
        return "scikit-learn digits"

    def read(self, train: bool) -> Arrays:
        return read_digits(train)
