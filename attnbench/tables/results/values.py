"""From records to the values of a table's cells: by seed, after the last and after the best validation epoch."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.errors import UserError
from attnbench.runs.evaluation_entry import INITIAL, EvaluationEntry
from attnbench.runs.evaluations import RESPONSES
from attnbench.runs.explanation_entry import FAITHFULNESS
from attnbench.runs.explanations import OF_TABLES
from attnbench.runs.metric_names import RESPONSE_PREFIX, TEST, metric_name
from attnbench.runs.metric_names import TOP1 as TOP1_ACCURACY
from attnbench.runs.record_parts import Metrics
from attnbench.tables.results.records import Record, Records
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import DETECTION, EXPLAINED, Column, PaperTable

Epoch = Literal["last", "best"]
EPOCHS: tuple[Epoch, Epoch] = ("last", "best")
Values = dict[int, float]
"""A metric's value by seed."""
Key = tuple[str, str]
"""A cell's row and column."""
DIVERGED = "diverged"
"""The state of a run whose loss or weights were not finite."""
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
        diverged: how many runs diverged. The results of the others say nothing then, and there are no values.
    """

    cell: CellConfig
    records: Mapping[int, Record]
    values: Mapping[Epoch, Values]
    reasons: Mapping[Epoch, str]
    unfinished: str = ""
    diverged: int = 0

    @property
    def divergence(self) -> str:
        """How many of the runs diverged, in words; empty if none did."""
        return describe_divergence(self.diverged, len(self.records))


class Collector:
    """Reads the values of a table's cells from records.

    Args:
        identities: of the cells' runs, where they are known.
    """

    def __init__(
        self,
        table: PaperTable,
        cells: Mapping[Key, CellConfig],
        records: Records,
        composer: Composer,
        identities: Mapping[Key, str],
    ) -> None:
        self.table, self.cells, self.composer = table, cells, composer
        self.records: dict[Key, dict[int, Record]] = {}
        self.unfinished: dict[Key, str] = {}
        self.diverged: dict[Key, int] = {}
        for key, cell in cells.items():
            known = [identities[key]] if key in identities else []
            self.records[key] = records.find(cell.config, known) if cell.config else {}
            states = records.unfinished_states(cell.config, known) if cell.config else {}
            self.unfinished[key] = describe_states(state for state in states.values() if state != DIVERGED)
            self.diverged[key] = Counter(states.values())[DIVERGED]

    def results(self) -> dict[Key, Result]:
        """Return the results of all cells."""
        return {key: self._result(key, cell) for key, cell in self.cells.items()}

    def _result(self, key: Key, cell: CellConfig) -> Result:
        records = self.records[key]
        values: dict[Epoch, Values] = {}
        reasons: dict[Epoch, str] = {}
        for epoch in EPOCHS:
            values[epoch], missing = {}, []
            for seed, record in records.items():
                try:
                    values[epoch][seed] = self._value(cell, epoch, seed, record)
                except MissingValue as reason:
                    missing.append(str(reason))
            reasons[epoch] = cell.reason or next(iter(missing), "" if records else "not run")
        result = Result(cell, records, values, reasons, self.unfinished[key], self.diverged[key])
        return without_values(result) if result.diverged else result

    def _value(self, cell: CellConfig, epoch: Epoch, seed: int, record: Record) -> float:
        match cell.column.metric:
            case "error_increase":
                return self._error_increase(cell, epoch, record)
            case "accuracy_per_million":
                return self._accuracy_per_million(cell, epoch, seed, record)
            case "response":
                return self._response(cell, epoch, record)
        if cell.column.metric in EXPLAINED:
            return score_of_map(record, cell, epoch)
        if cell.row.map:
            raise MissingValue("the row is a map, no network")
        return accuracy(record, cell.column, epoch, self._metrics(cell, epoch, record))

    def _error_increase(self, cell: CellConfig, epoch: Epoch, record: Record) -> float:
        """Return the increase of the error over that of the column `relative_to`, as a share of the latter."""
        base = self.cells[cell.row.key, cell.column.relative_to]
        before, after = (
            PERCENT - accuracy(record, TOP1, epoch, self._metrics(other, epoch, record)) for other in (base, cell)
        )
        if not before:
            raise MissingValue("no error to compare with")
        return (after - before) / before

    def _accuracy_per_million(self, cell: CellConfig, epoch: Epoch, seed: int, record: Record) -> float:
        """Return the accuracy per million parameters, of both what is above the baseline, except for the baseline."""
        ours, millions = accuracy(record, TOP1, epoch), record.costs.parameters / 1e6
        baseline = self.table.baseline_of(cell.row.key)
        if not baseline:
            return ours / millions
        other = self.records[baseline, cell.column.key].get(seed)
        if other is None:
            raise MissingValue("the baseline was not run with this seed")
        if record.costs.parameters == other.costs.parameters:
            raise MissingValue("it has as many parameters as the baseline")
        return (ours - accuracy(other, TOP1, epoch)) / (millions - other.costs.parameters / 1e6)

    def _response(self, cell: CellConfig, epoch: Epoch, record: Record) -> float:
        """Return a stage's mean absolute response divided by that of the first stage."""
        initial = cell.column.epoch == INITIAL
        if initial and epoch == "best":
            raise MissingValue("no epoch has the initial weights")
        settings = settings_of(self.composer, record, cell.evaluate)
        entry = _evaluation(record, INITIAL if initial else epoch, [*settings, RESPONSES])
        by_stage = {
            name.rpartition("/")[2]: value for name, value in entry.metrics.items() if name.startswith(RESPONSE_PREFIX)
        }
        if cell.column.stage not in by_stage:
            raise MissingValue(f"this network has no {cell.column.stage}")
        first, response = next(iter(by_stage.values())), by_stage[cell.column.stage]
        if not first or response is None or not math.isfinite(response / first):
            raise MissingValue("responses are 0 or not finite")
        return float(response / first)

    def _metrics(self, cell: CellConfig, epoch: Epoch, record: Record) -> Metrics:
        """Return the record's metrics, or those of the evaluation under the cell's settings by a record's names."""
        settings = settings_of(self.composer, record, cell.evaluate)
        if not settings:
            return record.metrics
        entry = _evaluation(record, epoch, settings)
        return {
            metric_name(TEST, name.partition("/")[2], epoch == "best"): value for name, value in entry.metrics.items()
        }


def _evaluation(record: Record, epoch: str, settings: Sequence[str]) -> EvaluationEntry:
    """Return a run's evaluation under settings. Raises `MissingValue` if there is none."""
    entry = record.evaluations.get(" ".join([epoch, *settings]))
    if entry is None:
        raise MissingValue(_why_missing(record, epoch, "not evaluated"))
    return entry


def _why_missing(record: Record, epoch: str, otherwise: str) -> str:
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
        raise MissingValue(_why_missing(record, epoch, "not measured"))
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


def settings_of(composer: Composer, record: Record, overrides: Sequence[str]) -> list[str]:
    """Return the settings in which a test under overrides differs from the run's own, as `attnbench evaluate` does.

    Raises:
        MissingValue: the run cannot be tested under these overrides.
    """
    if not overrides:
        return []
    try:
        _, settings = recompose(composer, record.choices, record.config, overrides)
    except UserError as error:
        raise MissingValue(str(error)) from error
    return [f"{key}={value}" for key, value in sorted(settings.items())]


def mean_of(records: Sequence[Record], key: str) -> float | None:
    """Return the mean of a recorded quantity; None if no record has it."""
    numbers = [float(value) for record in records if (value := getattr(record, key)) is not None]
    return sum(numbers) / len(numbers) if numbers else None
