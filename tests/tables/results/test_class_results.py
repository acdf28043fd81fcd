"""Results of each class come from runs' predictions or archived summaries; a damaged file is one warning."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.runs.predictions import write_predictions
from attnbench.tables.results.class_results import class_results, run_name, run_summaries
from attnbench.tables.results.per_class_summary import RunSummary
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import Column, PaperTable, Row
from tests.runs.samples import DATA, make_finished, make_predictions

pytestmark = pytest.mark.smoke
LABEL = [0, 0, 1, 1]
COLUMNS = {key: Column(key, key, "top1_error") for key in ("clean", "noisy")}
ROWS = {key: Row(key, key.upper(), {}) for key in ("plain", "bam")}
TABLE = PaperTable("t", "t", "", COLUMNS, ROWS, baseline="plain")
PREDICTED = {"plain": {0: [0, 1, 0, 0], 1: [0, 0, 0, 0]}, "bam": {0: [0, 0, 1, 0], 1: [0, 0, 0, 1]}}
"""Predicted classes of four images, by row and seed."""


def write(path: Path, predicted: Sequence[int]) -> Path:
    write_predictions(path, make_predictions(LABEL, predicted, classes=2))
    return path


@pytest.fixture
def results(own_folder: Path) -> dict[Key, Result]:
    """Two rows with two seeds each, whose two columns share their runs."""
    found: dict[Key, Result] = {}
    data = {**DATA, "classes": 2, "test_images": 4}
    for row, by_seed in PREDICTED.items():
        records = {}
        for seed, predicted in by_seed.items():
            record = make_finished(seed=seed, identity=row, data=data)
            records[seed] = replace(record, predictions=write(own_folder / f"{row}{seed}.npz", predicted))
        for column in COLUMNS.values():
            cell = CellConfig(ROWS[row], column, None)
            found[row, column.key] = Result(cell, records, {"last": {}, "best": {}}, {"last": "", "best": ""})
    return found


def test_numbers_are_means_over_seeds(results: dict[Key, Result]) -> None:
    plain, bam = class_results(TABLE, results, {})
    assert (plain.title, bam.title, bam.seeds) == ("PLAIN", "BAM", (0, 1))  # columns that share runs are shown once
    assert (plain.accuracy.tolist(), bam.accuracy.tolist()) == ([0.75, 0], [1, 0.5])
    assert plain.confusion is not None
    assert plain.confusion.tolist() == [[0.75, 0.25], [1, 0]]
    assert bam.calibration_errors == {0: 0.25, 1: 0.25}  # 0.5 confident, 3 of 4 correct
    assert plain.calibration_errors == {0: 0.25, 1: 0}


def test_rows_are_tested_against_the_baseline_with_the_same_seed(results: dict[Key, Result]) -> None:
    plain, bam = class_results(TABLE, results, {})
    assert (plain.tests, plain.baseline, bam.baseline) == ({}, "", "PLAIN")
    found = {seed: (test.only_first, test.only_second, test.p) for seed, test in bam.tests.items()}
    assert found == {0: (2, 0, 0.5), 1: (1, 0, 1.0)}


def test_archived_summaries_stand_in_for_runs_that_are_elsewhere(results: dict[Key, Result]) -> None:
    archived = run_summaries(TABLE, results, {})
    assert archived["bam/0"].against == {"plain/0": (2, 0)}
    elsewhere = {
        key: replace(result, records={seed: replace(r, predictions=None) for seed, r in result.records.items()})
        for key, result in results.items()
    }
    assert class_results(TABLE, elsewhere, {}) == ()
    assert run_summaries(TABLE, elsewhere, archived) == archived
    (_, here), (_, there) = class_results(TABLE, results, {}), class_results(TABLE, elsewhere, archived)
    assert here.accuracy.tolist() == there.accuracy.tolist()
    assert (here.tests, here.calibration_errors) == (there.tests, there.calibration_errors)


def test_without_confusions_accuracies_remain(results: dict[Key, Result]) -> None:
    elsewhere = {key: replace(result, records={9: make_finished(seed=9)}) for key, result in results.items()}
    name = run_name(make_finished(seed=9))
    summary = RunSummary(classes=["a", "b"], images=[2, 0], correct=[1, 0], calibration_error=None)
    found = class_results(TABLE, elsewhere, {name: summary})[0]
    assert (found.confusion, found.accuracy[0], found.calibration_errors) == (None, 0.5, {})


@pytest.mark.parametrize("damage", ["torn", "another run's"])
def test_a_damaged_file_is_one_warning_and_its_run_is_left_out(
    damage: str, results: dict[Key, Result], caplog: pytest.LogCaptureFixture
) -> None:
    path = results["plain", "clean"].records[0].predictions
    assert path is not None
    if damage == "torn":
        path.write_bytes(b"torn")
    else:
        write_predictions(path, make_predictions([0], [1]))
    plain, bam = class_results(TABLE, results, {})
    assert (plain.seeds, bam.seeds, list(bam.tests)) == ((1,), (0, 1), [1])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("skipped: plain0.npz: damaged: ")
    assert "\n" not in record.getMessage()


def test_a_missing_file_is_no_mistake(results: dict[Key, Result], caplog: pytest.LogCaptureFixture) -> None:
    for record in results["plain", "clean"].records.values():
        assert record.predictions is not None
        record.predictions.unlink()
    (bam,) = class_results(TABLE, results, {})
    assert (bam.title, bam.tests, caplog.records) == ("BAM", {}, [])
