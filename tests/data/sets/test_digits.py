"""The bundled digits are scikit-learn's, and reading them does not import it."""

import subprocess
import sys

import numpy as np
import numpy.testing as npt
from sklearn.datasets import load_digits

from attnbench.data.sets.digits import TEST_IMAGES, TOTAL_IMAGES, bundled_table, read_digits


def test_the_table_is_what_scikit_learn_loads() -> None:
    bunch = load_digits()
    table = bundled_table()
    npt.assert_array_equal(table[:, :-1], bunch.data)
    npt.assert_array_equal(table[:, -1], bunch.target)


def test_the_split_holds_every_image_once_and_every_class_alike() -> None:
    train, test = read_digits(train=True), read_digits(train=False)
    assert (len(train.labels), len(test.labels)) == (TOTAL_IMAGES - TEST_IMAGES, TEST_IMAGES)
    images = np.concatenate([train.images, test.images])
    assert images.shape == (TOTAL_IMAGES, 8, 8, 1) and images.dtype == np.uint8 and images.max() == 255
    npt.assert_array_equal(
        np.sort(images.reshape(len(images), -1).sum(1)), np.sort(np.rint(bundled_table()[:, :-1] * 15.9375).sum(1))
    )
    assert np.ptp(np.bincount(test.labels)) <= 1


def test_reading_imports_neither_scikit_learn_nor_pandas() -> None:
    code = (
        "import sys; from attnbench.data.sets.digits import read_digits; read_digits(True); "
        "sys.exit(bool({'sklearn', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
