"""Which networks count as trained."""

from dataclasses import replace

import pytest

from attnbench.runs.record import FinishedRecord
from attnbench.tables.results.training_state import (
    late_share,
    least_accuracy,
    least_accuracy_of,
    untrained_cells,
    why_untrained,
)
from attnbench.tables.results.values import without_values
from tests.runs.samples import as_diverged
from tests.tables.sample_results import RECORD, inputs


def record(accuracy: float | None, *curve: float, classes: int = 10) -> FinishedRecord:
    points = list(enumerate(curve, start=1))
    data = replace(RECORD.data, classes=classes)
    return replace(RECORD, metrics={"test/top1_accuracy": accuracy}, curve=points, data=data)


@pytest.mark.parametrize(
    ("classes", "least"), [(100, 0.03), (10, 0.3), (5, 0.6), (3, 2 / 3), (2, 0.75)]
)  # three times chance, or half way to 1
def test_the_least_accuracy(classes: int, least: float) -> None:
    assert least_accuracy(classes, 3.0) == pytest.approx(least)


@pytest.mark.parametrize(
    ("classes", "noise", "least"), [(10, 0.7, 0.16), (10, 0.5, 0.2), (2, 0.5, 0.625), (10, 0.0, 0.3)]
)  # chance, and of the distance from there the share of right labels
def test_wrong_labels_take_their_share_of_the_distance_from_chance(classes: int, noise: float, least: float) -> None:
    made = record(0.5, classes=classes)
    config = {**made.config, "data": {**made.config["data"], "label_noise": noise}}
    noisy = replace(made, config=config)
    assert least_accuracy_of(noisy, 3.0) == pytest.approx(least)
    below, above = (replace(noisy, metrics={"test/top1_accuracy": least + step}) for step in (-0.01, 0.01))
    assert "is below" in why_untrained([below], 3.0)
    assert why_untrained([above], 3.0) == ""


def test_a_record_without_label_noise_has_right_labels_alone() -> None:
    data = {key: value for key, value in RECORD.config["data"].items() if key != "label_noise"}
    assert least_accuracy_of(replace(RECORD, config={**RECORD.config, "data": data}), 3.0) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("accuracy", "curve", "expected"),
    [
        (0.109, (), "accuracy of 10.9 % is below 30 %"),
        (0.31, (), ""),
        (None, (), ""),
        (0.8, (0.1, 0.3, 0.5, 0.7, 0.8, 0.8), ""),
        (0.55, (0.1, 0.1, 0.198, 0.188, 0.517, 0.542), "78 % of what it learned came in the last quarter"),
        (0.87, (0.101, 0.101, 0.26, 0.698, 0.79, 0.871), ""),  # a rate that falls to 0 brings some of it at the end
        (0.87, (0.1, 0.3, 0.6, 0.75, 0.2, 0.87), ""),  # a single epoch dips at high rates
        (0.6, (0.1, 0.1, 0.6), ""),  # too few epochs to tell
    ],
)
def test_networks_that_have_not_learned(accuracy: float | None, curve: tuple[float, ...], expected: str) -> None:
    found = why_untrained([record(accuracy, *curve)], 3.0)
    assert (expected in found) if expected else not found


def test_the_late_share_by_hand() -> None:
    # Of eight epochs the last two: from 0.5 to 0.7, of the 0.6 above chance; two runs are averaged.
    curve = [(epoch, accuracy) for epoch, accuracy in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7), start=1)]
    assert late_share([curve], 0.1) == pytest.approx(1 / 3)
    assert late_share([curve, [(epoch, 0.1) for epoch, _ in curve]], 0.1) == pytest.approx(1 / 3)
    assert late_share([[(epoch, 0.1) for epoch in range(8)]], 0.1) is None


def test_no_runs_say_nothing() -> None:
    assert why_untrained([], 3.0) == ""


def test_cells_with_runs_that_diverged_are_not_trained() -> None:
    made = inputs({("none", "x"): {0: 90.0}, ("bam", "x"): {0: 91.0, 1: 92.0}})
    bam = made.results["bam", "x"]
    results = {**made.results, ("bam", "x"): without_values(replace(bam, diverged={7: as_diverged(bam.records[0])}))}
    assert untrained_cells(made.table, results) == {("bam", "x"): "not trained (diverged: 1 of 3)"}
    assert results["bam", "x"].values == {"last": {}, "best": {}}
