"""Comparisons of a table's cells: which runs they compare, and the estimates of their contrasts.

Cells that hold the same runs, as columns on the same data in a profile do, are one sample; they are recognised by the
identities of their records.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import TypeVar

from scipy import stats

from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.training_state import untrained_cells
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.table import ClaimPart, Term
from attnbench.tables.verdicts.anytime import LEVEL, Estimate
from attnbench.tables.verdicts.estimates import Pool, Values, estimate, pool_rows

K = TypeVar("K", bound=Hashable)
SampleKey = tuple[Hashable, ...]
"""The runs, and which of their metrics under which test."""
RELATED = ("accuracy_per_million",)
"""Metrics for which every row subtracts the baseline's run with the same seed, so that rows are not independent."""


class Comparisons:
    """The samples of a table, the pooled spread of each column, and what a contrast of cells compares."""

    def __init__(self, inputs: ReportInputs) -> None:
        self.inputs = inputs

    @cached_property
    def untrained(self) -> Mapping[Key, str]:
        """Why the networks of cells have not learned, by row and column; without cells whose networks have."""
        return untrained_cells(self.inputs.table, self.inputs.results)

    @cached_property
    def pools(self) -> Mapping[str, Pool]:
        """The pooled spread of each column, over the rows whose networks have learned."""
        return {column: self._pool(column) for column in self.inputs.table.columns}

    def _pool(self, column: str) -> Pool:
        keys = [(row, column) for row in self.inputs.table.rows if (row, column) not in self.untrained]
        return pool_rows(
            {sample_key(self.inputs.results[key]): self.inputs.results[key].values["last"] for key in keys}
        )

    def keeps_own_spread(self, key: Key) -> bool:
        """Return whether a cell's spread differs from that of the column's other rows."""
        return sample_key(self.inputs.results[key]) in self.pools[key[1]].separate

    def estimate(self, terms: Iterable[Term]) -> Estimate | None:
        """Estimate a contrast of cells; None where a cell has no values, or where all compare the same runs."""
        terms = tuple(terms)
        columns = {term.column for term in terms}
        related = any(self.inputs.table.columns[column].metric in RELATED for column in columns)
        samples = self._samples(terms)
        independent = len({run for run, *_ in samples}) == len(samples)
        if len(columns) == 1 and independent and not related:
            return estimate(samples, self.pools[columns.pop()])
        return estimate(self._runs(terms) if samples else {}, None, paired=related)

    def difference(self, row: str, other: str, column: str) -> Estimate | None:
        """Estimate the difference of two rows in a column."""
        return self.estimate([Term(row, column, 1.0), Term(other, column, -1.0)])

    def compared_with_baselines(self, column: str) -> int:
        """Return how many different comparisons a column makes with its baselines, at least 1."""
        table, results = self.inputs.table, self.inputs.results
        pairs = {
            frozenset({sample_key(results[row, column]), sample_key(results[baseline, column])})
            for row in table.rows
            if (baseline := table.baseline_of(row)) and self.difference(row, baseline, column)
        }
        return max(1, len(pairs))

    def prediction(self, row: str, column: str) -> tuple[float, float] | None:
        """Return the 95 % prediction interval for one new run of a row; None with fewer than two seeds.

        See Hahn, Meeker, Statistical Intervals, 1991, section 4.7. It is for a single look.
        """
        estimate = self.estimate([Term(row, column, 1.0)])
        if estimate is None or estimate.std == 0:
            return None
        half = float(stats.t.isf(LEVEL / 2, estimate.freedom)) * estimate.std * math.sqrt(1 + 1 / estimate.size)
        return estimate.value - half, estimate.value + half

    def _samples(self, terms: Iterable[Term]) -> dict[SampleKey, tuple[float, Values]]:
        """Return weight and values of each sample; those whose weights cancel are left out."""
        weights = contrast_key(self.inputs.results, terms)
        values = {sample_key(self.inputs.results[term.row, term.column]): self._values(term) for term in terms}
        return {key: (weight, values[key]) for key, weight in weights.items()}

    def _runs(self, terms: Iterable[Term]) -> dict[Hashable, tuple[float, Values]]:
        """Return the sum of a run's weighted values for each network, as values of one run are not independent."""
        by_run: dict[Hashable, list[tuple[float, Values]]] = {}
        for term in terms:
            by_run.setdefault(run_key(self.inputs.results[term.row, term.column]), []).append(
                (term.weight, self._values(term))
            )
        return {key: (1.0, _sum(parts)) for key, parts in by_run.items()}

    def _values(self, term: Term) -> Values:
        return self.inputs.results[term.row, term.column].values["last"]

    def same_runs(self, part: ClaimPart) -> bool:
        """Return whether a part compares runs with themselves."""
        has_values = all(self._values(term) for term in part.terms)
        return has_values and not contrast_key(self.inputs.results, part.terms)


def _sum(parts: Iterable[tuple[float, Values]]) -> Values:
    """Return the weighted sum of values by seed, for seeds that all have."""
    parts = tuple(parts)
    seeds = set.intersection(*(set(values) for _, values in parts))
    return {seed: sum(weight * values[seed] for weight, values in parts) for seed in sorted(seeds)}


def contrast_key(results: Mapping[Key, Result], terms: Iterable[Term], direction: int = 1) -> dict[SampleKey, float]:
    """Return the weight of each sample in a contrast, times a direction; equal for the same comparison of runs."""
    weights = sum_weights(terms, lambda term: sample_key(results[term.row, term.column]))
    return {key: weight * direction for key, weight in weights.items()}


def sum_weights(terms: Iterable[Term], key_of: Callable[[Term], K]) -> dict[K, float]:
    """Return the sum of the terms' weights by key; keys whose weights cancel are left out."""
    weights: dict[K, float] = {}
    for term in terms:
        key = key_of(term)
        weights[key] = weights.get(key, 0.0) + term.weight
    return {key: weight for key, weight in weights.items() if weight}


def run_key(result: Result) -> Hashable:
    """Return a key that cells share whose networks are the same; the cell itself where it has no runs."""
    if not result.records:
        return (result.cell.row.key, result.cell.column.key)
    return frozenset((record.identity, seed) for seed, record in result.records.items())


def sample_key(result: Result) -> SampleKey:
    """Return a key that cells share which hold the same metric of the same runs under the same test."""
    column = result.cell.column
    shown = (column.metric, column.split, column.stage, column.relative_to, result.cell.map)
    return (run_key(result), result.cell.evaluate, *shown)
