"""Results of each class for a table's rows: accuracies, confusions, calibration, and tests against the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attnbench.runs.files import damaged, readable, shown
from attnbench.runs.predictions import Predictions, read_predictions
from attnbench.tables.results.per_class import Fractions, McNemar, disagreements, fractions, mcnemar_of_counts, shares
from attnbench.tables.results.per_class_summary import RunSummary, summarise_predictions
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.table import PaperTable


@dataclass(frozen=True, eq=False)
class ClassResults:
    """Results of each class for the runs of a cell.

    Attributes:
        title: the row, and the column where a row has several.
        baseline: label of the row that the runs are tested against; empty for none.
        classes: names of the classes.
        seeds: of the runs.
        accuracy: (L,) of each class, as a fraction, the mean over seeds.
        confusion: (L, L) images of a true class predicted as each class, as a fraction, the mean over seeds; None
            where it is not at hand.
        calibration_errors: by seed.
        tests: against the baseline's run with the same seed, by seed.
    """

    title: str
    baseline: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    accuracy: Fractions
    confusion: Fractions | None
    calibration_errors: Mapping[int, float]
    tests: Mapping[int, McNemar]


class PredictionFiles:
    """Reads predictions of runs, each once; of a damaged file one warning is logged."""

    def __init__(self) -> None:
        self.known: dict[Path, Predictions | None] = {}

    def of(self, record: Record) -> Predictions | None:
        """Return a run's predictions; None without a file, or if it is damaged."""
        path = record.predictions
        if path is None:
            return None
        if path not in self.known:
            self.known[path] = readable(lambda: _read(path, record), None)
        return self.known[path]


def _read(path: Path, record: Record) -> Predictions | None:
    """Return the predictions in a file. Raises `UserError` if they cannot be those of the record's run."""
    found = read_predictions(path)
    if found is not None and (len(found), len(found.classes)) != (record.data.test_images, record.data.classes):
        of_run = f"{record.data.test_images} images of {record.data.classes} classes"
        raise damaged(shown(path), f"it has {len(found)} images of {len(found.classes)} classes, and the run {of_run}")
    return found


def run_name(record: Record) -> str:
    """Return the name of a run in summaries."""
    return f"{record.identity}/{record.seed}"


def run_summaries(
    table: PaperTable, results: Mapping[Key, Result], archived: Mapping[str, RunSummary]
) -> dict[str, RunSummary]:
    """Summarise the predictions of all runs of a table, by the runs' names.

    Args:
        table: names the baselines that runs are tested against.
        results: of its cells.
        archived: summaries of runs whose predictions are not at hand.
    """
    files = PredictionFiles()
    summaries: dict[str, RunSummary] = {}
    for (row, column), result in results.items():
        others = results[base, column].records if (base := table.baseline_of(row)) else {}
        for seed, record in result.records.items():
            name, predictions = run_name(record), files.of(record)
            if name not in summaries and (predictions is not None or name in archived):
                summaries[name] = archived[name] if predictions is None else summarise_predictions(predictions)
            other = others.get(seed)
            if name in summaries and other is not None and run_name(other) != name:
                summaries[name] = _compared(summaries[name], run_name(other), predictions, files.of(other))
    return summaries


def _compared(summary: RunSummary, name: str, first: Predictions | None, second: Predictions | None) -> RunSummary:
    """Return a run's summary with its disagreements with another run, if the predictions of both are at hand."""
    if first is None or second is None:
        return summary
    counts = readable(lambda: disagreements(first, second), None)
    return summary if counts is None else replace(summary, against={**summary.against, name: counts})


def class_results(
    table: PaperTable, results: Mapping[Key, Result], archived: Mapping[str, RunSummary]
) -> tuple[ClassResults, ...]:
    """Return the results of each class for every cell whose runs have predictions; cells that share runs count once."""
    summaries = run_summaries(table, results, archived)
    found: dict[tuple[str, frozenset[str]], ClassResults] = {}
    for (row, column), result in results.items():
        by_seed = {
            seed: summaries[name] for seed, record in result.records.items() if (name := run_name(record)) in summaries
        }
        runs = (row, frozenset(map(run_name, result.records.values())))
        if by_seed and runs not in found:
            base = table.baseline_of(row)
            others = results[base, column].records if base and base != row else {}
            several = len({frozenset(map(run_name, results[row, key].records.values())) for key in table.columns}) > 1
            label = table.name_of(row)
            title = f"{label}, {table.columns[column].label}" if several else label
            found[runs] = _results(title, table.name_of(base) if others else "", by_seed, others)
    return tuple(found.values())


def _results(
    title: str, baseline: str, by_seed: Mapping[int, RunSummary], others: Mapping[int, Record]
) -> ClassResults:
    """Return the results of a cell from its runs' summaries. others: the baseline's runs, by seed."""
    first = next(iter(by_seed.values()))
    alike = {seed: one for seed, one in by_seed.items() if one.classes == first.classes}
    accuracies = [fractions(np.array(one.correct), np.array(one.images)) for one in alike.values()]
    confusions = [one.confusion for one in alike.values()]
    names = {seed: run_name(others[seed]) for seed in alike if seed in others}
    return ClassResults(
        title=title,
        baseline=baseline,
        classes=tuple(first.classes),
        seeds=tuple(alike),
        accuracy=np.mean(accuracies, 0),
        confusion=_mean_shares([one for one in confusions if one is not None]),
        calibration_errors={seed: e for seed, one in alike.items() if (e := one.calibration_error) is not None},
        tests={
            seed: mcnemar_of_counts(*alike[seed].against[name])
            for seed, name in names.items()
            if name in alike[seed].against
        },
    )


def _mean_shares(confusions: list[list[list[int]]]) -> Fractions | None:
    """Return the mean of confusions as fractions of each true class; None for none."""
    return np.mean([shares(np.array(one, np.int64)) for one in confusions], 0) if confusions else None
