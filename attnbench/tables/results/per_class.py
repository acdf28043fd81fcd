"""Numbers of a run's test predictions: confusions, accuracy of each class, calibration, and McNemar's test of two runs.

predictions = read_predictions(Path("outputs/runs/NAME/seed0/predictions/last.npz"))
class_accuracies(confusion_matrix(predictions))     # of each class, as fractions
calibration_error(predictions)                      # expected calibration error
mcnemar_test(predictions, others)                   # whether two runs err on different images
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import UserError
from attnbench.runs.predictions import Predictions

BINS = 15
"""Bins of the calibration error, as Guo et al. (2017) take."""
Counts = NDArray[np.int64]
Fractions = NDArray[np.float64]


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two runs on the same images.

    Attributes:
        only_first: images that only the first run classifies correctly.
        only_second: images that only the second run classifies correctly.
        p: two-sided and exact: of a split as uneven as this one, if either run is as likely to be the correct one.
    """

    only_first: int
    only_second: int
    p: float


def confusion_matrix(predictions: Predictions) -> Counts:
    """Return the number of images (L, L) by true class (rows) and predicted class (columns)."""
    count = len(predictions.classes)
    pairs = predictions.label.astype(np.int64) * count + predictions.predicted
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def class_accuracies(confusion: Counts) -> Fractions:
    """Return the accuracy (L,) of each class, as fractions; NaN for a class without images.

    Args:
        confusion: (L, L), by true and predicted class.
    """
    return shares(confusion).diagonal()


def shares(confusion: Counts) -> Fractions:
    """Return confusions (L, L) as fractions of each true class's images; NaN for a class without images."""
    return fractions(confusion, confusion.sum(1, keepdims=True))


def fractions(counts: Counts, totals: Counts) -> Fractions:
    """Return counts as fractions of totals; NaN where a total is 0."""
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def calibration_error(predictions: Predictions, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean distance of accuracy and confidence over bins of confidence.

    Bins are of equal width and closed on the right; each counts by its number of images. See Guo, Pleiss, Sun,
    Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, eq. 3. NaN if a confidence is NaN, as in a run
    that diverged.
    """
    confidence = predictions.probability.astype(np.float64)
    if not np.isfinite(confidence).all():
        return float("nan")
    number = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(number, weights=predictions.correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(predictions))


def mcnemar_test(first: Predictions, second: Predictions) -> McNemar:
    """Test whether two runs are equally accurate, by the images that only one of them classifies correctly.

    Images are paired by their index; those that only one run was tested on are left out. See McNemar, "Note on the
    sampling error of the difference between correlated proportions or percentages", Psychometrika 1947; the p value
    is exact.

    Raises:
        UserError: the runs were tested on different images.
    """
    only_first, only_second = disagreements(first, second)
    return mcnemar_of_counts(only_first, only_second)


def disagreements(first: Predictions, second: Predictions) -> tuple[int, int]:
    """Return how many images only the first run, and only the second, classifies correctly. Raises `UserError`."""
    _, one, other = np.intersect1d(first.index, second.index, assume_unique=True, return_indices=True)
    if first.classes != second.classes or (first.label[one] != second.label[other]).any():
        raise UserError("the runs were tested on different images, so their predictions cannot be compared")
    right, other_right = first.correct[one], second.correct[other]
    return int((right & ~other_right).sum()), int((~right & other_right).sum())


def mcnemar_of_counts(only_first: int, only_second: int) -> McNemar:
    """Return McNemar's exact test of two numbers of images; those on which both runs agree do not count."""
    from statsmodels.stats.contingency_tables import mcnemar

    p = mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue if only_first + only_second else 1.0
    return McNemar(only_first, only_second, float(p))
