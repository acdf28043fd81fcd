"""An entry of `evaluations.json`: the result of testing a run once more."""

from dataclasses import dataclass, field
from typing import Any, Literal

from attnbench.runs.json_objects import JsonObject, between, flat, named, prefixed
from attnbench.runs.metric_names import ACCURACY, RECORDED_TOP1, TEST, TEST_TOP1
from attnbench.runs.record_parts import CostRecord, DataRecord, Environment, HardwareRecord, Metrics

CHECKPOINTS = ("last", "best")
INITIAL = "initial"
"""In place of a checkpoint: the weights that the run started with."""


@dataclass(frozen=True, kw_only=True)
class EvaluationEntry(JsonObject):
    """The result of an evaluation.

    checkpoint: or `initial`, the weights that the run started with. epoch: after which the checkpoint was written,
    counted from 1; 0 for the initial weights. settings: by dotted key, in which the test differs
    from the run's own. recorded_accuracy: that the run's own test gave, None if it had no test set. seconds: of one
    pass over the test images, warm-up included. The rest is as in a record.
    """

    checkpoint: Literal["last", "best", "initial"]
    epoch: int = field(metadata=between(0))
    settings: dict[str, Any]
    metrics: Metrics = field(metadata=prefixed(f"{TEST}/", required=(TEST_TOP1,), fractions=ACCURACY))
    recorded_accuracy: float | None = field(metadata={**named(RECORDED_TOP1), **between(0, 1)})
    costs: CostRecord = field(metadata=flat())
    data: DataRecord
    resolved: HardwareRecord
    environment: Environment
    written: str
    seconds: float = field(metadata=between(0))
    images_per_second: float = field(metadata=between(0))

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy on the test images, as a fraction."""
        value = self.metrics[TEST_TOP1]
        assert value is not None  # reading requires it, and a test gives it
        return value

    @property
    def difference(self) -> float | None:
        """By how much the top-1 accuracy is above the recorded one; None if none was recorded."""
        return None if self.recorded_accuracy is None else self.accuracy - self.recorded_accuracy
