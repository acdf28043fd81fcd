"""From records to the values of a table's cells: by seed, after the last and after the best validation epoch."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from attnbench.runs.explanation_entry import FAITHFULNESS
from attnbench.runs.explanations import OF_TABLES
from attnbench.runs.metric_names import TOP1 as TOP1_ACCURACY
from attnbench.runs.metric_names import metric_name
from attnbench.runs.record import RunRecord
from attnbench.runs.record_parts import Metrics
from attnbench.tables.results.records import DIVERGED, Record
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import DETECTION, EXPLAINED, Column

Epoch = Literal["last", "best"]
EPOCHS: tuple[Epoch, Epoch] = ("last", "best")
Values = dict[int, float]
"""A metric's value by seed."""
Key = tuple[str, str]
"""A cell's row and column."""
PERCENT = 100.0
TOP1 = Column("", "", TOP1_ACCURACY)


class MissingValue(Exception):
    """A record does not have a value; the message says why."""


@dataclass(frozen=True)
class Result:
    """The values of a cell and the records that they were read from.

    Attributes:
        records: of finished runs, by seed.
        values: by epoch and seed.
        reasons: by epoch, why some or all values are missing; empty if none are.
        unfinished: the states of runs that have no result, in words.
        diverged: records of runs that diverged, by seed. With any, the results of the others say nothing, and there are
            no values.
    """

    cell: CellConfig
    records: Mapping[int, Record]
    values: Mapping[Epoch, Values]
    reasons: Mapping[Epoch, str]
    unfinished: str = ""
    diverged: Mapping[int, RunRecord] = field(default_factory=dict)

    @property
    def divergence(self) -> str:
        """How many of the runs diverged, in words; empty if none did."""
        return describe_divergence(len(self.diverged), len(self.records))


def why_missing(record: Record, epoch: str, otherwise: str) -> str:
    """Return the reason for a missing value: the test set was not read, or without validation no epoch is best."""
    if not record.config.get("test", True):
        return "trained with test=false"
    return "no best validation epoch" if epoch == "best" and not record.held_out else otherwise


def describe_divergence(diverged: int, finished: int) -> str:
    """Return how many of the runs that ended diverged: `diverged: 2 of 5`; empty if none did."""
    return f"{DIVERGED}: {diverged} of {diverged + finished}" if diverged else ""


def without_values(result: Result) -> Result:
    """Return the result of a cell with runs that diverged: what the others reached is not what the cell is about."""
    return replace(result, values={epoch: {} for epoch in EPOCHS}, reasons=dict.fromkeys(EPOCHS, result.divergence))


def describe_states(states: Iterable[str]) -> str:
    """Return states of runs in words: `runs without a result: 2 failed, 1 interrupted`; empty for none."""
    counts = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
    return f"runs without a result: {counts}" if counts else ""


def accuracy(record: Record, column: Column, epoch: Epoch, metrics: Metrics | None = None) -> float:
    """Return an accuracy, an error or a mean average precision in per cent.

    Args:
        record: of the run.
        column: says which metric of which split.
        epoch: the last or the best one.
        metrics: of an evaluation, by a record's names; None for the record's own.

    Raises:
        MissingValue: the metric was not measured.
    """
    measured = column.metric if column.metric in DETECTION else f"{column.metric.partition('_')[0]}_accuracy"
    name = metric_name(column.split, measured, epoch == "best")
    value = (record.metrics if metrics is None else metrics).get(name)
    if value is None:
        raise MissingValue(why_missing(record, epoch, "not measured"))
    percent = PERCENT * float(value)
    return PERCENT - percent if column.metric.endswith("error") else percent


def score_of_map(record: Record, cell: CellConfig, epoch: Epoch) -> float:
    """Return the mean score of a run's map in per cent. Raises `MissingValue` if it was not measured."""
    if epoch == "best":
        raise MissingValue("maps are those of the last epoch")
    entry = record.explanations.get(OF_TABLES.key)
    if entry is None:
        raise MissingValue(f"not explained: attnbench explain RUN --images {OF_TABLES.images}")
    if not entry.maps:
        raise MissingValue("objects in its images have no boxes")
    name = cell.map or entry.layers[0]
    if name not in entry.maps:
        raise MissingValue(f"this network has no map {name}")
    mean = entry.maps[name].get(cell.column.metric)
    if mean is None or mean.value is None:
        faithfulness = " --faithfulness" if cell.column.metric in FAITHFULNESS else ""
        raise MissingValue(f"not measured: attnbench explain RUN --images {OF_TABLES.images}{faithfulness}")
    return PERCENT * mean.value


def own_result(cell: CellConfig, records: Mapping[int, Record], diverged: Mapping[int, RunRecord]) -> Result:
    """Return the values of a cell as the runs' own tests or explanations gave them; none if some runs diverged."""
    result = Result(cell, dict(sorted(records.items())), {}, {}, diverged=diverged)
    return collect(result, lambda epoch, seed: own_value(cell, epoch, records[seed]))


def collect(result: Result, value: Callable[[Epoch, int], float]) -> Result:
    """Return a result with its values and why others are missing; without values if some runs diverged.

    Args:
        result: of a cell, with its records.
        value: of an epoch and a seed. Raises `MissingValue`.
    """
    values: dict[Epoch, Values] = {}
    reasons: dict[Epoch, str] = {}
    for epoch in EPOCHS:
        values[epoch], missing = {}, []
        for seed in result.records:
            try:
                values[epoch][seed] = value(epoch, seed)
            except MissingValue as reason:
                missing.append(str(reason))
        reasons[epoch] = result.cell.reason or next(iter(missing), "" if result.records else "not run")
    result = replace(result, values=values, reasons=reasons)
    return without_values(result) if result.diverged else result


def own_value(cell: CellConfig, epoch: Epoch, record: Record) -> float:
    """Return the value that a run's own test or explanation gave. Raises `MissingValue`."""
    is_score = cell.column.metric in EXPLAINED
    return score_of_map(record, cell, epoch) if is_score else accuracy(record, cell.column, epoch)


def mean_of(records: Sequence[Record], key: str) -> float | None:
    """Return the mean of a recorded quantity; None if no record has it."""
    numbers = [float(value) for record in records if (value := getattr(record, key)) is not None]
    return sum(numbers) / len(numbers) if numbers else None
