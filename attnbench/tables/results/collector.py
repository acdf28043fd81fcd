"""From the records of runs to the results of a paper's table, cell by cell."""

import math
from collections.abc import Mapping, Sequence

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.errors import UserError
from attnbench.runs.evaluation_entry import INITIAL, EvaluationEntry
from attnbench.runs.evaluations import RESPONSES
from attnbench.runs.metric_names import RESPONSE_PREFIX, TEST, metric_name
from attnbench.runs.record import RunRecord
from attnbench.runs.record_parts import Metrics
from attnbench.tables.results.records import Record, Records
from attnbench.tables.results.values import (
    PERCENT,
    TOP1,
    Epoch,
    Key,
    MissingValue,
    Result,
    accuracy,
    collect,
    describe_states,
    score_of_map,
    why_missing,
)
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import EXPLAINED, PaperTable


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
        self.diverged: dict[Key, dict[int, RunRecord]] = {}
        for key, cell in cells.items():
            known = [identities[key]] if key in identities else []
            self.records[key] = records.find(cell.config, known) if cell.config else {}
            states = records.unfinished_states(cell.config, known) if cell.config else {}
            self.unfinished[key] = describe_states(states.values())
            self.diverged[key] = records.find_diverged(cell.config, known) if cell.config else {}

    def results(self) -> dict[Key, Result]:
        """Return the results of all cells."""
        return {key: self._result(key, cell) for key, cell in self.cells.items()}

    def _result(self, key: Key, cell: CellConfig) -> Result:
        records = self.records[key]
        result = Result(cell, records, {}, {}, self.unfinished[key], self.diverged[key])
        return collect(result, lambda epoch, seed: self._value(cell, epoch, seed, records[seed]))

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
        raise MissingValue(why_missing(record, epoch, "not evaluated"))
    return entry


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
