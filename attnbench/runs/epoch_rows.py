"""The rows of `metrics.jsonl`: one for each finished epoch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attnbench.runs.disk import writing
from attnbench.runs.files import damaged, parse_object, read_text, shown, to_text, write_atomically
from attnbench.runs.json_objects import JsonObject, between, prefixed, read_object
from attnbench.runs.metric_names import (
    ACCURACY,
    GATE_PREFIX,
    IMAGES_PER_SECOND,
    LEARNING_RATE,
    PREFIXES,
    TRAIN_LOSS,
    TRAIN_SECONDS,
    VAL,
    main_metric,
    metric_name,
)
from attnbench.runs.record_parts import Metrics

MEASURED = (*PREFIXES, GATE_PREFIX, LEARNING_RATE, IMAGES_PER_SECOND)


@dataclass(frozen=True, kw_only=True)
class EpochRow(JsonObject):
    """Metrics of one epoch.

    epoch: counted from 1. images: seen since the start of training. metrics: by flat name.
    """

    epoch: int = field(metadata=between(1))
    images: int = field(metadata=between(0))
    metrics: Metrics = field(metadata=prefixed(*MEASURED, required=(TRAIN_SECONDS,), fractions=ACCURACY))

    @property
    def seconds(self) -> float:
        """Seconds spent on training, validation left out."""
        value = self.metrics[TRAIN_SECONDS]
        assert value is not None  # reading requires it, and every epoch measures it
        return value

    @property
    def monitored(self) -> float | None:
        """The metric that decides which epoch is best; None without validation images."""
        return self.metrics.get(metric_name(VAL, main_metric(self.metrics)))


def best_row(rows: Sequence[EpochRow]) -> EpochRow | None:
    """Return the row of the best validation epoch, the first one if several are as good; None without validation."""
    if not rows or rows[-1].monitored is None:
        return None
    return max(rows, key=lambda row: (row.monitored or 0.0, -row.epoch))


def read_rows(path: Path) -> list[EpochRow]:
    """Read the rows of a file; none if there is no file.

    A last line without its end is ignored: the process died while it wrote it.

    Raises:
        UserError: a line is damaged; the message names the file, the line and the reason.
    """
    *lines, _ = (read_text(path) or "").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        where = f"{shown(path)}, line {number}"
        row = read_object(EpochRow, parse_object(line, where), where)
        if TRAIN_LOSS not in row.metrics:  # null where training diverged and went on
            raise damaged(where, f"{TRAIN_LOSS} is missing")
        if row.epoch != number:
            raise damaged(where, f"epoch must be {number}, and is {row.epoch}")
        rows.append(row)
    return rows


def write_rows(path: Path, rows: Sequence[EpochRow]) -> None:
    """Replace the file's rows; a resumed run drops the epochs that its checkpoint does not have."""
    write_atomically(path, "".join(to_text(row.to_json()) + "\n" for row in rows))


def append_row(path: Path, row: EpochRow) -> None:
    """Add a row at the end of the file, and wait until it is on the disk."""
    line = to_text(row.to_json()) + "\n"
    with writing(shown(path), path.parent, len(line)), path.open("a", encoding="utf-8") as stream:
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())
