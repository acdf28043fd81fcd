"""The record is written while a run goes on, and keeps what an earlier part of the run recorded."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from attnbench.config.compose import compose
from attnbench.errors import UserError
from attnbench.runs.epoch_rows import EpochRow
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.record_parts import Metrics
from attnbench.runs.record_writer import RecordWriter, training_summary
from tests.conftest import TINY
from tests.runs.samples import make_finished, make_row

METRICS: Metrics = {"test/top1_accuracy": 0.8, "test/loss": float("nan")}


@pytest.fixture
def job(own_folder: Path) -> Job:
    folder = own_folder / "seed0"
    folder.mkdir()
    return Job(compose(TINY), "0123456789", folder)


def describe(writer: RecordWriter, rows: Sequence[EpochRow] = ()) -> None:
    sample = make_finished()
    writer.describe(sample.resolved, sample.data, sample.costs, rows=rows)


def test_a_run_is_recorded_from_start_to_end(job: Job) -> None:
    run = RunFolder(job.folder)
    writer = RecordWriter(job, run)
    assert run.record() is None  # nothing is written before there is something to say
    describe(writer)
    assert run.record() == writer.record
    assert run.state() == "interrupted"  # nobody owns it
    finished = writer.finish(training_summary([make_row(1, 0.5), make_row(2, 0.7)]), METRICS, 2**20, None)
    assert run.record() == finished
    assert (finished.epochs, finished.best_epoch, finished.images, finished.seed) == (2, 2, 200, 0)
    content = json.loads(run.record_file.read_text())
    assert content["test/top1_accuracy"] == 0.8
    assert content["test/loss"] is None  # it was not finite
    assert content["val/best/top1_accuracy"] == content["val/top1_accuracy"] == 0.7
    assert content["energy_joules"] is None
    assert content["config"] == job.config.values


def test_a_failure_is_recorded_and_a_resumed_run_forgets_it(job: Job) -> None:
    run = RunFolder(job.folder)
    writer = RecordWriter(job, run)
    describe(writer)
    writer.stop("failed", "OSError: disk full")
    record = run.record()
    assert record is not None
    assert (record.status, record.error) == ("failed", "OSError: disk full")
    resumed = RecordWriter(job, run)
    assert resumed.record.error == ""
    resumed.stop("interrupted")
    assert "error" not in json.loads(run.record_file.read_text())


def test_time_of_a_part_that_was_killed_counts(job: Job) -> None:
    """It recorded none at its end, but its epochs did."""
    run = RunFolder(job.folder)
    describe(RecordWriter(job, run))
    rows = [make_row(number, 0.5) for number in (1, 2, 3)]
    describe(resumed := RecordWriter(job, run), rows)
    assert resumed.record.wall_seconds > sum(row.seconds for row in rows) > 0


def test_a_part_that_ends_early_keeps_what_was_recorded_before(job: Job) -> None:
    run, sample = RunFolder(job.folder), make_finished()
    describe(RecordWriter(job, run))
    content = json.loads(run.record_file.read_text())
    run.record_file.write_text(json.dumps({**content, "wall_seconds": 1000.0, "started": "before", "later": 1}))
    RecordWriter(job, run).stop("interrupted")  # before its network was built
    record = run.record()
    assert record is not None
    assert (record.resolved, record.data, record.costs) == (sample.resolved, sample.data, sample.costs)
    assert (record.started, record.unknown) == ("before", {"later": 1})
    assert 1000 < record.wall_seconds < 1060


def test_a_resumed_run_keeps_the_weights_that_it_started_with(job: Job) -> None:
    run, sample = RunFolder(job.folder), make_finished()
    known = (sample.resolved, sample.data, sample.costs)
    RecordWriter(job, run).describe(*known, weights="sha256:0")
    RecordWriter(job, run).describe(*known)  # the file need not be there any more
    record = run.record()
    assert record is not None
    assert record.weights == "sha256:0"


def test_a_damaged_record_is_not_written_over(job: Job) -> None:
    run = RunFolder(job.folder)
    run.record_file.write_text("{")
    with pytest.raises(UserError, match=r"^seed0/record\.json: damaged"):
        RecordWriter(job, run)
    assert run.record_file.read_text() == "{"


def test_the_first_of_equal_epochs_is_best_and_the_first_epoch_warms_up() -> None:
    summary = training_summary([make_row(1, 0.5, 50.0), make_row(2, 0.7), make_row(3, 0.7), make_row(4, 0.6)])
    assert (summary.best_epoch, summary.metrics["val/best/top1_accuracy"], summary.epochs) == (2, 0.7, 4)
    assert summary.images_per_second == 50.0
    assert training_summary([make_row(1, 0.5)]).images_per_second == 50.0
    assert training_summary([make_row(1)]).best_epoch is None
