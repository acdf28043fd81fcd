"""Summaries travel with an archived table in one small file."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest

from attnbench.runs.predictions import Predictions
from attnbench.tables.results.per_class_summary import (
    MOST_BYTES,
    SUMMARY_FILE,
    RunSummary,
    read_summaries,
    summarise_predictions,
    write_summaries,
)
from tests.runs.samples import make_predictions

pytestmark = pytest.mark.smoke


def test_a_summary_counts_images_by_class() -> None:
    found = summarise_predictions(make_predictions([0, 0, 1], [0, 1, 1], [0.5, 0.5, np.nan], classes=2))
    assert found == RunSummary(
        classes=["class 0", "class 1"], images=[2, 1], correct=[1, 1], calibration_error=None,
        confusion=[[1, 1], [0, 1]],
    )  # fmt: skip


def test_a_file_gives_back_what_was_written(own_folder: Path) -> None:
    summary = RunSummary(
        classes=["a"], images=[2], correct=[1], calibration_error=0.25, confusion=[[2]], against={"x/0": (1, 0)}
    )
    write_summaries(own_folder, {"b/1": summary, "a/0": summary})
    assert read_summaries(own_folder) == {"a/0": summary, "b/1": summary}
    content = (own_folder / SUMMARY_FILE).read_bytes()
    write_summaries(own_folder, {"a/0": summary, "b/1": summary})
    assert (own_folder / SUMMARY_FILE).read_bytes() == content


def test_many_classes_are_archived_without_confusions(own_folder: Path) -> None:
    """Forty runs on a hundred classes, of which three in ten images are confused."""
    draw, names = np.random.default_rng(0), [f"class {number}" for number in range(100)]
    summaries = {}
    for number in range(40):
        label = np.arange(10_000) % 100
        predicted = np.where(draw.random(10_000) < 0.3, draw.integers(0, 100, 10_000), label)
        shares = draw.random(10_000)
        summaries[f"run/{number}"] = summarise_predictions(
            Predictions.make(names, np.arange(10_000), label, predicted, shares, shares)
        )
    write_summaries(own_folder, summaries)
    assert (own_folder / SUMMARY_FILE).stat().st_size < MOST_BYTES
    found = read_summaries(own_folder)
    assert {one.confusion for one in found.values() if one.confusion is None} == {None}
    assert [one.correct for one in found.values()] == [summaries[name].correct for name in found]


def test_ten_classes_are_archived_with_confusions(own_folder: Path) -> None:
    draw = np.random.default_rng(0)
    label = np.arange(10_000) % 10
    summaries = {}
    for number in range(100):
        predicted = np.where(draw.random(10_000) < 0.3, draw.integers(0, 10, 10_000), label)
        summaries[f"run/{number}"] = summarise_predictions(make_predictions(label.tolist(), predicted.tolist()))
    write_summaries(own_folder, summaries)
    assert (own_folder / SUMMARY_FILE).stat().st_size < MOST_BYTES
    assert read_summaries(own_folder) == summaries


DAMAGED = {
    "empty": b"",
    "not compressed": b"torn",
    "cut off": gzip.compress(b"{")[:-4],
    "a list": gzip.compress(b"[]"),
    "fields missing": gzip.compress(b'{"a/0": {"classes": 3}}'),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_warning(content: bytes, own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (own_folder / SUMMARY_FILE).write_bytes(content)
    assert read_summaries(own_folder) == {}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"skipped: {SUMMARY_FILE}")
    assert "\n" not in record.getMessage()


def test_without_a_file_there_are_no_summaries(own_folder: Path) -> None:
    write_summaries(own_folder, {})
    assert list(own_folder.iterdir()) == []
    assert read_summaries(own_folder) == {}
