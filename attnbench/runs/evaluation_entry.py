"""An entry of `evaluations.json`: the result of testing a run once more."""

from dataclasses import dataclass, field
from typing import Any, Literal

from attnbench.runs.json_objects import JsonObject, between, flat, prefixed
from attnbench.runs.metric_names import ACCURACY, MAIN_METRICS, RECORDED, TEST, main_metric, metric_name
from attnbench.runs.record_parts import CostRecord, DataRecord, Environment, HardwareRecord, Metrics

CHECKPOINTS = ("last", "best")
INITIAL = "initial"
"""In place of a checkpoint: the weights that the run started with."""
OWN_RESULTS = tuple(metric_name(TEST, name) for name in reversed(MAIN_METRICS))
"""A test gives one of these."""


@dataclass(frozen=True, kw_only=True)
class EvaluationEntry(JsonObject):
    """The result of an evaluation.

    checkpoint: or `initial`, the weights that the run started with. epoch: after which the checkpoint was written,
    counted from 1; 0 for the initial weights. settings: by dotted key, in which the test differs from the run's own.
    recorded: the main metric that the run's own test gave, None if it had no test set. seconds: of one pass over the
    test images, warm-up included. The rest is as in a record.
    """

    checkpoint: Literal["last", "best", "initial"]
    epoch: int = field(metadata=between(0))
    settings: dict[str, Any]
    metrics: Metrics = field(metadata=prefixed(f"{TEST}/", one_of=OWN_RESULTS, fractions=ACCURACY))
    recorded: Metrics = field(metadata=prefixed(f"{RECORDED}/", fractions=ACCURACY))
    costs: CostRecord = field(metadata=flat())
    data: DataRecord
    resolved: HardwareRecord
    environment: Environment
    written: str
    seconds: float = field(metadata=between(0))
    images_per_second: float = field(metadata=between(0))

    @property
    def accuracy(self) -> float:
        """The task's main metric on the test images, such as top-1 accuracy, as a fraction."""
        value = self.metrics[metric_name(TEST, main_metric(self.metrics))]
        assert value is not None  # reading requires it, and a test gives it
        return value

    @property
    def recorded_accuracy(self) -> float | None:
        """The main metric that the run's own test gave; None if it had no test set."""
        return next(iter(self.recorded.values()), None)

    @property
    def difference(self) -> float | None:
        """By how much the main metric is above the recorded one; None if none was recorded."""
        return None if self.recorded_accuracy is None else self.accuracy - self.recorded_accuracy
