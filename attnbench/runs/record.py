"""The record of a run, `record.json`: what tables and lists read. Flat names, SI units."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from attnbench.runs.evaluation_entry import EvaluationEntry
from attnbench.runs.explanation_entry import ExplanationEntry
from attnbench.runs.files import damaged, shown
from attnbench.runs.json_objects import ALWAYS, LOCAL, JsonObject, between, flat, prefixed, read_object
from attnbench.runs.metric_names import ACCURACY, PREFIXES, main_metric, metric_name
from attnbench.runs.migrations import SCHEMA, migrate
from attnbench.runs.record_parts import CostRecord, DataRecord, Environment, HardwareRecord, Metrics

Status = Literal["running", "finished", "failed", "diverged", "interrupted"]
GROUPS = ("backbone", "attention", "data", "recipe", "trainer")
"""Groups of the configuration that every record has."""
CHOSEN = ("backbone", "attention", "data")
"""Groups whose choice every record has."""
IDENTITY_SCHEME = 2
"""1: choices were hashed by the dotted path of their class; 2: by their name."""


@dataclass(frozen=True, kw_only=True)
class RunRecord(JsonObject):
    """The record of a run, in whichever state it is.

    identity: the hash that names the run, and the scheme by which it was computed. choices: the chosen file of each
    group. config: the checked configuration, by group. started, written: times in UTC (ISO 8601). wall_seconds: time
    spent so far, interrupted parts included. resolved: choices of `auto`. resolved, data and costs are None in a run
    that ended before its network was built. error: what made the run fail, or how it diverged. scaled_lr: the
    learning rate that `recipe.lr_batch_size` gave; None where `recipe.lr` is the rate. weights: the hash of those that
    the run started with; None if it started with none, and in records of earlier versions.
    """

    schema: int = field(default=SCHEMA, metadata=ALWAYS)
    status: Status
    identity: str
    identity_scheme: int = field(default=IDENTITY_SCHEME, metadata=ALWAYS)
    seed: int = field(metadata=between(0))
    choices: dict[str, str]
    config: dict[str, Any]
    environment: Environment
    started: str
    wall_seconds: float = field(metadata=between(0))
    written: str
    error: str = ""
    scaled_lr: float | None = None
    weights: str | None = None
    resolved: HardwareRecord | None = None
    costs: CostRecord | None = field(default=None, metadata=flat())
    data: DataRecord | None = None

    @classmethod
    def from_json(cls, content: Any, path: Path | str) -> "RunRecord":
        """Read a record from what `json.loads` returned; records of earlier versions are migrated.

        Args:
            content: the JSON object.
            path: its file, for error messages; or the file and line as text.

        Returns:
            The record; a `FinishedRecord` if the run is finished.

        Raises:
            UserError: a key is missing or wrong; the message names the file, the key and what is expected.
        """
        where = shown(path) if isinstance(path, Path) else path
        if not isinstance(content, dict):
            raise damaged(where, "it is no JSON object")
        content = migrate(content, where)
        kind = FinishedRecord if content.get("status") == "finished" else RunRecord
        record = read_object(kind, content, where)
        _check_config(record, where)
        return record

    @property
    def planned_epochs(self) -> int:
        """The epochs that the recipe asks for."""
        return int(self.config["recipe"]["epochs"])

    @property
    def batch_size(self) -> int:
        """Images of a mini-batch, over all devices."""
        return int(self.config["data"]["batch_size"])


AnyRecord = TypeVar("AnyRecord", bound=RunRecord)
"""A record in whichever state, for functions that return one in the same state."""


@dataclass(frozen=True, kw_only=True)
class FinishedRecord(RunRecord):
    """The record of a finished run.

    metrics: by flat name. epochs: trained, which early stopping makes fewer than planned. images: seen in training.
    best_epoch: counted from 1, None without validation images. images_per_second: of training, after the first epoch.
    energy_joules: of the devices, None where they do not report it or the run was interrupted. evaluations,
    explanations, curve (epochs and accuracies): only in kept results, where the run's folder is not at hand.
    predictions: the file of the last epoch's test predictions, where the folder is at hand.
    """

    status: Literal["finished"] = field(default="finished", metadata=ALWAYS)
    resolved: HardwareRecord = field()  # without `field()` the default of the base class would hold
    costs: CostRecord = field(metadata=flat())
    data: DataRecord = field()
    metrics: Metrics = field(metadata=prefixed(*PREFIXES, fractions=ACCURACY))
    epochs: int = field(metadata=between(1))
    images: int = field(metadata=between(1))
    best_epoch: int | None = field(metadata=between(1))
    images_per_second: float = field(metadata=between(0))
    peak_memory_bytes: int | None = field(metadata=between(0))
    energy_joules: float | None = field(metadata=between(0))
    evaluations: dict[str, EvaluationEntry] = field(default_factory=dict)
    explanations: dict[str, ExplanationEntry] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)
    predictions: Path | None = field(default=None, compare=False, metadata=LOCAL)

    def main_value(self, split: str, best: bool = False) -> float | None:
        """Return the task's main metric on a split, after the last or the best epoch; None if it was not measured."""
        return self.metrics.get(metric_name(split, main_metric(self.metrics), best))

    @property
    def held_out(self) -> bool:
        """Whether the run had validation images to choose its best epoch by."""
        return self.best_epoch is not None


def _check_config(record: RunRecord, where: str) -> None:
    """Raise `UserError` unless choices and configuration have what every record has."""
    for group in CHOSEN:
        if group not in record.choices:
            raise damaged(where, f"choices.{group} is missing")
    for group in GROUPS:
        if not isinstance(record.config.get(group), dict):
            raise damaged(where, f"config.{group} must be a JSON object")
    for group, key in (("recipe", "epochs"), ("data", "batch_size")):
        value = record.config[group].get(key)
        if type(value) is not int or value < 1:
            raise damaged(where, f"config.{group}.{key} must be a whole number from 1 on")
    if isinstance(record, FinishedRecord) and (record.best_epoch or 0) > record.epochs:
        raise damaged(where, f"best_epoch is {record.best_epoch} of {record.epochs} epochs")
