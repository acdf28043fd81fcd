"""The record of a run: what tables read. Flat names, SI units, written atomically."""

import time
from datetime import UTC, datetime
from typing import Any

from attnbench.runs.environment import environment
from attnbench.runs.folder import SCHEMA, Job, RunFolder

MONITOR = "val/top1_accuracy"
"""The metric that tells which epoch is best."""
WARM_UP_EPOCHS = 1


class Recorder:
    """Keeps a run's record while the run goes on.

    What an earlier part of the run recorded is kept: its choices of `auto`, and its wall time.
    """

    def __init__(self, job: Job, run: RunFolder) -> None:
        self.job, self.run, self.started = job, run, time.monotonic()
        earlier = run.record() or {}
        self.earlier_seconds = float(earlier.get("wall_seconds", 0.0))
        self.resolved: dict[str, Any] = earlier.get("resolved", {})
        self.content: dict[str, Any] = {
            "schema": SCHEMA,
            "status": "running",
            "identity": job.identity,
            "seed": job.seed,
            "choices": job.config.choices,
            "config": job.config.values,
            "environment": environment(),
            "started": earlier.get("started", now()),
        }

    def write(self, status: str, **fields: Any) -> dict[str, Any]:
        """Update the record and write it."""
        wall = self.earlier_seconds + time.monotonic() - self.started
        self.content |= {"status": status, "wall_seconds": wall, "written": now(), **fields}
        self.run.write_record(self.content)
        return self.content


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def training_summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a record says of the epochs: the last one's metrics, the best validation epoch, and the speed.

    The first epoch warms up and does not count towards the speed, unless it is the only one.
    """
    last = rows[-1]
    summary = {key: value for key, value in last.items() if key.startswith(("train/", "val/"))}
    summary |= {"epochs": last["epoch"], "images": last["images"], "best_epoch": None, "val/best/top1_accuracy": None}
    if last.get(MONITOR) is not None:
        best = max(rows, key=lambda row: (row[MONITOR], -row["epoch"]))
        summary |= {"best_epoch": best["epoch"], "val/best/top1_accuracy": best[MONITOR]}
    timed = rows[WARM_UP_EPOCHS:] or rows
    before = rows[WARM_UP_EPOCHS - 1]["images"] if len(rows) > WARM_UP_EPOCHS else 0
    seconds = sum(row["train/seconds"] for row in timed)
    return {**summary, "images_per_second": (last["images"] - before) / seconds}
