"""Confusions, calibration and McNemar's test, against cases worked out by hand and other implementations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as sklearn_confusion
from torchmetrics.functional.classification import multiclass_calibration_error

from attnbench.errors import UserError
from attnbench.runs.predictions import Predictions
from attnbench.tables.results.per_class import (
    calibration_error,
    class_accuracies,
    confusion_matrix,
    mcnemar_of_counts,
    mcnemar_test,
)
from tests.runs.samples import make_predictions

pytestmark = pytest.mark.smoke
LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def test_accuracies_of_classes_worked_out_by_hand() -> None:
    found = confusion_matrix(make_predictions(label=[0, 0, 0, 1, 1], predicted=[0, 2, 2, 1, 0], classes=3))
    assert found.tolist() == [[1, 0, 2], [1, 1, 0], [0, 0, 0]]
    assert class_accuracies(found) == pytest.approx([1 / 3, 1 / 2, np.nan], nan_ok=True)  # nobody saw the third class


@given(LABELS)
def test_confusions_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    label, predicted = zip(*pairs, strict=True)
    found = confusion_matrix(make_predictions(label, predicted, classes=5))
    assert found.tolist() == sklearn_confusion(label, predicted, labels=range(5)).tolist()


def test_calibration_worked_out_by_hand() -> None:
    """Two bins: in (0.2, 0.25] half the images are right, in (0.9, 0.95] all; each holds half of the images."""
    predictions = make_predictions([0, 0, 0, 0], [0, 1, 0, 0], [0.25, 0.25, 0.9375, 0.9375])
    assert calibration_error(predictions, bins=20) == pytest.approx((0.25 + 0.0625) / 2)


def test_a_confidence_between_two_bins_is_in_the_lower_one_and_certainty_in_the_last() -> None:
    # (0, 0.5] is 0.5 confident and right, (0.5, 1] is right once in two
    assert calibration_error(make_predictions([0, 0, 0], [0, 0, 1], [0.5, 1, 0.75]), bins=2) == pytest.approx(
        (0.5 + 0.75) / 3
    )


@pytest.mark.parametrize("classes", [2, 10])
def test_calibration_is_that_of_torchmetrics(classes: int) -> None:
    probabilities = torch.randn(500, classes).mul(3).softmax(1)
    labels = torch.randint(classes, (500,))
    predictions = Predictions.make(
        [str(number) for number in range(classes)],
        range(500), labels, probabilities.argmax(1), probabilities.amax(1), probabilities[range(500), labels],
    )  # fmt: skip
    expected = multiclass_calibration_error(probabilities, labels, classes, n_bins=15, norm="l1").item()
    assert calibration_error(predictions) == pytest.approx(expected, abs=2e-3)  # half precision moves some over a bound


def test_a_diverged_run_has_no_calibration() -> None:
    assert np.isnan(calibration_error(make_predictions([0, 1], [0, 0], [np.nan, 1])))


def test_mcnemar_worked_out_by_hand() -> None:
    """Of six images the runs disagree on five: four only the first gets right, one only the second.

    Of five tosses of a coin, at most one shows a given side with a chance of 6/32; two-sided that is 3/8.
    """
    first = make_predictions(label=[0, 0, 0, 0, 0, 0], predicted=[0, 0, 0, 0, 1, 1])
    second = make_predictions(label=[0, 0, 0, 0, 0, 0], predicted=[1, 1, 1, 1, 0, 1])
    found = mcnemar_test(first, second)
    assert (found.only_first, found.only_second) == (4, 1)
    assert found.p == pytest.approx(3 / 8)
    assert mcnemar_test(second, first).p == found.p


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (0, 1), (3, 3), (10, 31), (700, 620), (5, 0)])
def test_mcnemar_is_the_exact_binomial_test(only_first: int, only_second: int) -> None:
    total = only_first + only_second
    expected = binomtest(only_first, total, 0.5).pvalue if total else 1.0
    assert mcnemar_of_counts(only_first, only_second).p == pytest.approx(expected)


def test_images_are_paired_by_their_index() -> None:
    """An image that one run could not read is left out of both."""
    whole = make_predictions(label=[0, 1, 2], predicted=[0, 1, 0])
    part = Predictions.make(whole.classes, [0, 2], [0, 2], [1, 2], [0.5, 0.5], [0.5, 0.5])
    found = mcnemar_test(whole, part)
    assert (found.only_first, found.only_second) == (1, 1)


def test_other_test_images_are_rejected() -> None:
    with pytest.raises(UserError, match="tested on different images"):
        mcnemar_test(make_predictions([0, 1], [0, 0]), make_predictions([1, 1], [0, 0]))
    with pytest.raises(UserError, match="tested on different images"):
        mcnemar_test(make_predictions([0], [0]), make_predictions([0], [0], classes=3))
