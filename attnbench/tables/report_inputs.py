"""The inputs of a report, and the notes that are collected while it is built."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from attnbench.tables.results.costs import CostComparison
from attnbench.tables.results.per_class_summary import RunSummary
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.table import PaperTable, Profile


@dataclass(frozen=True)
class ReportInputs:
    """A table, how it was run, and what came out.

    Attributes:
        results: by row and column.
        costs: by row and cost.
        method: of the means' intervals, `t` or `bootstrap`.
        changes: overrides typed by the user that make the table a different one.
        archived: summaries of runs' predictions that were archived with the table, by the runs' names.
    """

    table: PaperTable
    profile: Profile
    results: Mapping[Key, Result]
    costs: Mapping[str, Mapping[str, CostComparison]]
    method: str = "t"
    changes: Sequence[str] = ()
    archived: Mapping[str, RunSummary] = field(default_factory=dict)

    @cached_property
    def has_runs(self) -> bool:
        """Whether any cell has a run that ended."""
        return any(result.records or result.diverged for result in self.results.values())

    @cached_property
    def shows_printed(self) -> bool:
        """Whether the paper's numbers are shown; only beside runs of the paper's networks on its data."""
        own_data = any(line.partition("=")[0] == "data" for line in self.profile.overrides)
        return not (self.profile.siblings or own_data)

    @cached_property
    def most_seeds(self) -> int:
        """Seeds of the cell that has most of them."""
        return max((len(result.values["last"]) for result in self.results.values()), default=0)

    def records(self) -> Iterator[Record]:
        """Yield the records of all cells."""
        for result in self.results.values():
            yield from result.records.values()


@dataclass
class Notes:
    """Numbered notes; equal texts share a number."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> tuple[int, ...]:
        """Add a note and return its number as the marks of a cell; no marks for an empty text."""
        if not text:
            return ()
        if text not in self.texts:
            self.texts.append(text)
        return (self.texts.index(text) + 1,)
