"""Records, rows and evaluations as small as they can be, for tests that need one on disk or in hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnbench.runs.epoch_rows import EpochRow
from attnbench.runs.evaluation_entry import EvaluationEntry
from attnbench.runs.json_objects import read_object
from attnbench.runs.predictions import Predictions
from attnbench.runs.record import FinishedRecord, RunRecord

COSTS = {
    "parameters": 269_434,
    "multiply_adds": 22_644_352,
    "executed_multiply_adds": 22_644_352,
    "attention_parameters": 0,
    "attention_multiply_adds": 0,
}
DATA = {"fingerprint": "scikit-learn digits", "classes": 10, "image_size": 8, "train_images": 1237, "test_images": 360}
RESOLVED = {"accelerator": "cpu", "devices": 1, "device_name": "a processor", "precision": "fp32", "threads": 1}
ENVIRONMENT = {"attnbench": "0.1.0", "git": None, "packages": {"torch": "2.15.0"}, "python": "3.11.7", "platform": "x"}
START: dict[str, Any] = {
    "schema": 2,
    "identity": "0123456789",
    "identity_scheme": 2,
    "seed": 0,
    "choices": {"backbone": "resnet20", "attention": "none", "data": "digits", "recipe": "one_cycle"},
    "config": {
        "backbone": {}, "attention": {}, "data": {"batch_size": 128}, "recipe": {"epochs": 4}, "trainer": {"devices": 1}
    },
    "environment": ENVIRONMENT,
    "started": "2026-01-01T00:00:00+00:00",
    "wall_seconds": 100.0,
    "written": "2026-01-01T00:01:40+00:00",
}  # fmt: skip
"""What a record holds from the start."""
RESULT: dict[str, Any] = {
    **COSTS,
    "resolved": RESOLVED,
    "data": DATA,
    "train/loss": 0.1,
    "val/top1_accuracy": 0.9,
    "test/top1_accuracy": 0.9,
    "test/top5_accuracy": 0.99,
    "test/best/top1_accuracy": 0.92,
    "epochs": 4,
    "images": 4948,
    "best_epoch": 3,
    "images_per_second": 512.3,
    "peak_memory_bytes": 2**30,
    "energy_joules": None,
}
"""What a record holds at the end."""


def record_json(status: str = "finished", **changes: Any) -> dict[str, Any]:
    """A record as it is in its file. changes: of its keys; a key with a slash is given in a dictionary."""
    return {"status": status, **START, **(RESULT if status == "finished" else {}), **changes}


def written_record(folder: Path) -> dict[str, Any]:
    """The record in a run's folder, as it is in its file."""
    record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return record


def make_record(status: str = "finished", **changes: Any) -> RunRecord:
    """A record in memory."""
    return RunRecord.from_json(record_json(status, **changes), "a test's record")


def make_finished(**changes: Any) -> FinishedRecord:
    """A finished run's record in memory."""
    record = make_record(**changes)
    assert isinstance(record, FinishedRecord)
    return record


def as_diverged(record: FinishedRecord) -> RunRecord:
    """The record that a run would have if its training had diverged."""
    known = {name: value for name, value in record.to_json().items() if name in {*START, *COSTS, "resolved", "data"}}
    read = RunRecord.from_json({**known, "status": "diverged", "error": "training diverged in epoch 1"}, "a record")
    assert not isinstance(read, FinishedRecord)
    return read


def entry_json(**changes: Any) -> dict[str, Any]:
    """An entry of `evaluations.json`."""
    own = {"checkpoint": "last", "epoch": 4, "settings": {}, "test/top1_accuracy": 0.9, "recorded/top1_accuracy": 0.9}
    measured = {"written": "2026-01-01T00:02:00+00:00", "seconds": 0.5, "images_per_second": 720.0}
    return {**own, **COSTS, "data": DATA, "resolved": RESOLVED, "environment": ENVIRONMENT, **measured, **changes}


def make_entry(**changes: Any) -> EvaluationEntry:
    """An evaluation's result in memory."""
    return read_object(EvaluationEntry, entry_json(**changes), "a test's entry")


def make_row(epoch: int, accuracy: float | None = None, seconds: float = 2.0) -> EpochRow:
    """A row of `metrics.jsonl`, of 100 images an epoch. accuracy: on the validation images."""
    metrics = {"train/loss": 0.5, "train/seconds": seconds, "val/top1_accuracy": accuracy}
    return EpochRow(epoch=epoch, images=100 * epoch, metrics=metrics)


def make_predictions(
    label: Sequence[int], predicted: Sequence[int], probability: Sequence[float] | None = None, classes: int = 10
) -> Predictions:
    """Predictions in memory. probability: of the predicted class, by default 0.5 everywhere."""
    given = [0.5] * len(label) if probability is None else probability
    names = [f"class {number}" for number in range(classes)]
    return Predictions.make(names, range(len(label)), label, predicted, given, given)
