"""Writing a run's record while the run goes on."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from attnbench.runs.environment import environment
from attnbench.runs.epoch_rows import EpochRow, best_row
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.metric_names import PREFIXES, TOP1, VAL, metric_name
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.runs.record_parts import CostRecord, DataRecord, HardwareRecord, Metrics

Outcome = Literal["interrupted", "failed", "diverged"]
"""How a run may end without a result."""
WARM_UP_EPOCHS = 1
KEPT = ("started", "resolved", "costs", "data", "weights", "unknown")
"""What is kept of the record of an earlier, interrupted part."""


@dataclass(frozen=True)
class TrainingSummary:
    """Summary of all epochs for the record: the last epoch's metrics, and the best validation accuracy."""

    epochs: int
    images: int
    best_epoch: int | None
    images_per_second: float
    metrics: Metrics


class RecordWriter:
    """Keeps a run's record up to date.

    What an earlier part of the run recorded is kept: its choices of `auto`, its start and its wall time.

    Args:
        job: the run that is done.
        run: its folder.

    Raises:
        UserError: the earlier part's record is damaged.
    """

    def __init__(self, job: Job, run: RunFolder) -> None:
        self.job, self.run, self.started = job, run, time.monotonic()
        earlier = run.record()
        self.earlier_seconds = earlier.wall_seconds if earlier is not None else 0.0
        self.record = _new_record(job)
        if earlier is not None:
            kept = {name: getattr(earlier, name) for name in KEPT}
            self.record = replace(self.record, **kept, wall_seconds=self.earlier_seconds)

    def describe(
        self,
        resolved: HardwareRecord,
        data: DataRecord,
        costs: CostRecord,
        scaled_lr: float | None = None,
        weights: str | None = None,
        rows: Sequence[EpochRow] = (),
    ) -> None:
        """Record that the run is training, on what, what its network costs, and the learning rate if it was scaled.

        `weights` is the hash of those that it starts with, None where it resumes or starts with none. `rows` are the
        epochs that it has done: their time counts although a process that was killed recorded none.
        """
        self.earlier_seconds = max(self.earlier_seconds, sum(row.seconds for row in rows))
        known = self.record.weights if weights is None else weights
        self._write(resolved=resolved, data=data, costs=costs, scaled_lr=scaled_lr, weights=known)

    def stop(self, status: Outcome, error: str = "") -> None:
        """Record that the run ended before it was finished. error: the reason, if it was not interrupted."""
        self._write(status=status, error=error)

    def finish(
        self, summary: TrainingSummary, test: Metrics, peak_memory_bytes: int | None, energy_joules: float | None
    ) -> FinishedRecord:
        """Record the result of a run that was described before, and return the record.

        Args:
            summary: of the epochs.
            test: metrics on the test images, by flat name.
            peak_memory_bytes: of training, None where the system does not report it.
            energy_joules: of training, None where the devices do not report it.
        """
        self._stamp()
        finished = FinishedRecord(
            **{item.name: getattr(self.record, item.name) for item in fields(RunRecord) if item.name != "status"},
            metrics={name: _finite(value) for name, value in {**summary.metrics, **test}.items()},
            epochs=summary.epochs,
            images=summary.images,
            best_epoch=summary.best_epoch,
            images_per_second=summary.images_per_second,
            peak_memory_bytes=peak_memory_bytes,
            energy_joules=energy_joules,
        )
        self.run.write_record(finished)
        return finished

    def _write(self, **changes: Any) -> None:
        self._stamp(**changes)
        self.run.write_record(self.record)

    def _stamp(self, **changes: Any) -> None:
        wall_seconds = self.earlier_seconds + time.monotonic() - self.started
        self.record = replace(self.record, **changes, wall_seconds=wall_seconds, written=now())


def _new_record(job: Job) -> RunRecord:
    return RunRecord(
        status="running",
        identity=job.identity,
        seed=job.seed,
        choices=job.config.choices,
        config=job.config.values,
        environment=environment(),
        started=now(),
        wall_seconds=0.0,
        written=now(),
    )


def now() -> str:
    """Return the time in UTC, to the second (ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def training_summary(rows: Sequence[EpochRow], main_metric: str = TOP1) -> TrainingSummary:
    """Summarise the epochs: the last one's metrics, the best validation epoch, and the speed.

    The first epoch warms up and does not count towards the speed, unless it is the only one. main_metric: of the task.
    """
    last = rows[-1]
    metrics: Metrics = {key: value for key, value in last.metrics.items() if key.startswith(PREFIXES)}
    best = best_row(rows)
    timed = rows[WARM_UP_EPOCHS:] or rows
    before = rows[WARM_UP_EPOCHS - 1].images if len(rows) > WARM_UP_EPOCHS else 0
    return TrainingSummary(
        epochs=last.epoch,
        images=last.images,
        best_epoch=best.epoch if best else None,
        images_per_second=(last.images - before) / sum(row.seconds for row in timed),
        metrics={**metrics, metric_name(VAL, main_metric, best=True): best.monitored if best else None},
    )


def _finite(value: float | None) -> float | None:
    """Return None for NaN and infinities, as they are written as null."""
    return value if value is not None and math.isfinite(value) else None
