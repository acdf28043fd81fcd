"""From records to the values of a table's cells: by seed, at the last and at the best validation epoch."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.errors import UserError
from attnbench.runs.evaluations import RESPONSES
from attnbench.runs.metric_names import RESPONSE_PREFIX, TEST, metric_name
from attnbench.runs.metric_names import TOP1 as TOP1_ACCURACY
from attnbench.runs.record_parts import Metrics
from attnbench.tables.cell_configs import CellConfig
from attnbench.tables.records import Record, Records
from attnbench.tables.spec import Column, PaperTable

Epoch = Literal["last", "best"]
EPOCHS: tuple[Epoch, Epoch] = ("last", "best")
Values = dict[int, float]
Key = tuple[str, str]
PERCENT = 100.0


@dataclass(frozen=True)
class Result:
    """What is known of a cell. values: by epoch and seed. reasons: by epoch, why some or all are missing. unfinished:
    states of runs that have no result.
    """

    cell: CellConfig
    records: Mapping[int, Record]
    values: Mapping[Epoch, Values]
    reasons: Mapping[Epoch, str]
    unfinished: str = ""


class Collector:
    """Reads the values of a table's cells out of records.

    identities: of the cells' runs, where they are known.
    """

    def __init__(
        self, table: PaperTable, cells: Mapping[Key, CellConfig], records: Records, composer: Composer,
        identities: Mapping[Key, str] | None = None,
    ) -> None:  # fmt: skip
        self.table, self.cells, self.composer = table, cells, composer
        names = identities or {}
        self.records = {
            key: records.of(cell.config, [names[key]] if key in names else []) if cell.config else {}
            for key, cell in cells.items()
        }
        self.unfinished = {
            key: told(records.states_of(cell.config, [names[key]] if key in names else []).values())
            for key, cell in cells.items()
            if cell.config
        }

    def results(self) -> dict[Key, Result]:
        """The results of all cells."""
        return {key: self._result(cell) for key, cell in self.cells.items()}

    def _result(self, cell: CellConfig) -> Result:
        records = self.records[cell.row.key, cell.column.key]
        values: dict[Epoch, Values] = {}
        reasons: dict[Epoch, str] = {}
        for epoch in EPOCHS:
            values[epoch], missing = {}, []
            for seed, record in records.items():
                try:
                    values[epoch][seed] = self._value(cell, epoch, seed, record)
                except MissingValue as absent:
                    missing.append(str(absent))
            reasons[epoch] = cell.reason or next(iter(missing), "" if records else "not run")
        return Result(cell, records, values, reasons, self.unfinished.get((cell.row.key, cell.column.key), ""))

    def _value(self, cell: CellConfig, epoch: Epoch, seed: int, record: Record) -> float:
        column = cell.column
        if column.metric == "error_increase":
            base = self.cells[cell.row.key, column.relative_to]
            before, after = (self._error(one, epoch, record) for one in (base, cell))
            if not before:
                raise MissingValue("no error to compare with")
            return (after - before) / before
        if column.metric == "accuracy_per_million":
            return self._per_million(cell, epoch, seed, record)
        if column.metric == "response":
            return self._response(cell, epoch, record)
        return accuracy(record, column, epoch, self._metrics(cell, epoch, record))

    def _error(self, cell: CellConfig, epoch: Epoch, record: Record) -> float:
        return PERCENT - accuracy(record, TOP1, epoch, self._metrics(cell, epoch, record))

    def _per_million(self, cell: CellConfig, epoch: Epoch, seed: int, record: Record) -> float:
        """Accuracy, and parameters in millions, of the baseline; for the others what both are above the baseline's."""
        mine = accuracy(record, TOP1, epoch), record.costs.parameters / 1e6
        base = self.table.baseline_of(cell.row.key)
        if not base:
            return mine[0] / mine[1]
        other = self.records[base, cell.column.key].get(seed)
        if other is None:
            raise MissingValue("the baseline was not run with this seed")
        if record.costs.parameters == other.costs.parameters:
            raise MissingValue("it has as many parameters as the baseline")
        return (mine[0] - accuracy(other, TOP1, epoch)) / (mine[1] - other.costs.parameters / 1e6)

    def _response(self, cell: CellConfig, epoch: Epoch, record: Record) -> float:
        """A stage's mean absolute response over that of the first stage."""
        key = " ".join([epoch, *settings_of(self.composer, record, cell.evaluate), RESPONSES])
        entry = record.evaluations.get(key)
        if entry is None:
            raise MissingValue(
                "no best validation epoch" if epoch == "best" and not held_out(record) else "not evaluated"
            )
        found = {
            name.rpartition("/")[2]: value for name, value in entry.metrics.items() if name.startswith(RESPONSE_PREFIX)
        }
        if cell.column.stage not in found:
            raise MissingValue(f"this network has no {cell.column.stage}")
        first, response = next(iter(found.values())), found[cell.column.stage]
        if not first or response is None or not math.isfinite(response / first):
            raise MissingValue("responses are 0 or not finite")
        return float(response / first)

    def _metrics(self, cell: CellConfig, epoch: Epoch, record: Record) -> Metrics:
        """The record's metrics, or those of the evaluation that the cell asks for, by a record's names."""
        settings = settings_of(self.composer, record, cell.evaluate)
        if not settings:
            return record.metrics
        entry = record.evaluations.get(" ".join([epoch, *settings]))
        if entry is None:
            raise MissingValue(
                "no best validation epoch" if epoch == "best" and not held_out(record) else "not evaluated"
            )
        return {
            metric_name(TEST, name.partition("/")[2], epoch == "best"): value for name, value in entry.metrics.items()
        }


def told(states: Iterable[str]) -> str:
    """States of runs in words: `runs without a result: 2 failed, 1 interrupted`; empty for none."""
    counts = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
    return f"runs without a result: {counts}" if counts else ""


class MissingValue(Exception):
    """A record has no such value; the message says why."""


TOP1 = Column("", "", TOP1_ACCURACY)


def accuracy(record: Record, column: Column, epoch: Epoch, metrics: Metrics | None = None) -> float:
    """An accuracy or error in per cent. metrics: of an evaluation, by a record's names. Raises `MissingValue`."""
    name = f"{column.metric.partition('_')[0]}_accuracy"
    value = (record.metrics if metrics is None else metrics).get(metric_name(column.split, name, epoch == "best"))
    if value is None:
        raise MissingValue("no best validation epoch" if epoch == "best" and not held_out(record) else "not measured")
    percent = PERCENT * float(value)
    return PERCENT - percent if column.metric.endswith("error") else percent


def held_out(record: Record) -> bool:
    """Whether a run had images to choose its best epoch by."""
    return record.held_out


def settings_of(composer: Composer, record: Record, overrides: Sequence[str]) -> list[str]:
    """Name the settings in which a test under overrides differs from a run's own, as `attnbench evaluate` does.

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


def measured(records: Sequence[Record], key: str) -> float | None:
    """The mean of something measured; None where nobody measured it."""
    found = [float(value) for record in records if (value := getattr(record, key)) is not None]
    return sum(found) / len(found) if found else None
