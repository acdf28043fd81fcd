"""The curves of a sweep in TensorBoard's tab Custom Scalars, one chart for each metric and attention.

A layout of TensorBoard chooses curves by their tags and not by the runs that they belong to. So the curves of a sweep
are written once more, into one folder, under tags that name the attention.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch.utils.tensorboard import SummaryWriter

from attnbench.runs.epoch_rows import EpochRow
from attnbench.runs.metric_names import LOSS, MONITOR, TRAIN_LOSS, VAL, metric_name

METRICS = (MONITOR, TRAIN_LOSS, metric_name(VAL, LOSS))


class Curve(NamedTuple):
    """A run of a sweep: its attention, and what tells it from the others with the same one."""

    attention: str
    name: str

    def tag(self, metric: str) -> str:
        """Return the tag of one of its curves."""
        return f"{metric}/{self.attention}/{self.name}"


def write_curves(folder: Path, runs: Mapping[Curve, list[EpochRow]]) -> None:
    """Write the curves of runs and the layout that groups them, in place of what is in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(folder) as writer:
        writer.add_custom_scalars(layout(runs))
        for curve, rows in runs.items():
            for row in rows:
                for metric in METRICS:
                    if (value := row.metrics.get(metric)) is not None:
                        writer.add_scalar(curve.tag(metric), value, row.images)


def layout(runs: Mapping[Curve, list[EpochRow]]) -> dict[str, dict[str, list[object]]]:
    """Return a layout with a category for each metric, and in it a chart for each attention."""
    attentions = dict.fromkeys(curve.attention for curve in runs)
    return {
        metric: {
            attention: ["Multiline", [re.escape(Curve(attention, "").tag(metric)) + ".*"]] for attention in attentions
        }
        for metric in METRICS
        if any(metric in row.metrics for rows in runs.values() for row in rows)
    }
