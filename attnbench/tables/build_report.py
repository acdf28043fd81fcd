"""From results to a sheet: what stands in each cell of a paper's table, and what is said below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnbench.formatting import duration
from attnbench.tables import plots
from attnbench.tables.claims import combined, describe, judge
from attnbench.tables.costs import CostComparison
from attnbench.tables.costs import shown as shown_cost
from attnbench.tables.format_cells import (
    NOTHING,
    TITLES,
    Notes,
    difference_cell,
    heading_of,
    seeds_told,
    summary_cell,
    told_of,
    with_best,
)
from attnbench.tables.report import Cell, ClaimResult, Heading, Line, Report
from attnbench.tables.spec import COSTS, PaperTable, Profile, Row, as_number
from attnbench.tables.statistics import compare, summarise
from attnbench.tables.values import EPOCHS, Epoch, Key, Result, measured

COST_TITLES = {"parameters": "parameters", "multiply_adds": "multiply-adds"}
SPEEDS = {
    "images_per_second": ("img/s", 1.0),
    "milliseconds_per_step": ("ms/step", 1.0),
    "peak_memory_bytes": ("MiB", 1 / 2**20),
    "wall_seconds": ("time", 1.0),
    "energy_joules": ("kJ", 1e-3),
}
CLOSE = "within one of the last printed digit, as of a sum of rounded numbers"
METHOD = (
    "Mean ± standard deviation over seeds (n-1); Δ: to the baseline row, paired by seed where seeds pair up, else "
    "Welch's; [low, high]: its 95 % interval."
)
STAND_INS = "Labels and notes name the paper's networks; smaller ones of their families stand in for them."
VERDICTS = "A claim is judged by the last epoch, at 95 % after Holm's correction over all pairs of the table."


@dataclass
class ReportBuilder:
    """What a sheet is made of. looks: how often the claims were judged, on different records. changes: overrides that
    were typed beside. printed: whether the paper's numbers stand beside ours; never beside stand-ins for its networks.
    """

    table: PaperTable
    profile: Profile
    results: Mapping[Key, Result]
    costs: Mapping[str, Mapping[str, CostComparison]]
    looks: int = 1
    method: str = "t"
    changes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.ran = any(result.records for result in self.results.values())
        self.printed = self.profile.name == "paper" or not (self.ran or self.profile.siblings)
        self.seeds = max((len(result.values["last"]) for result in self.results.values()), default=0)
        self.notes = Notes()

    def sheet(self) -> Report:
        """The sheet."""
        headings = tuple(self._headings())
        lines = tuple(self._line(row, headings) for row in self.table.rows.values())
        named = self.profile.says and (self.ran or self.profile.name != "paper")
        profile = f"profile {self.profile.name}" if named else ""
        parts = (self.table.name, self.table.title, profile, " ".join(self.changes))
        return Report(
            title=" · ".join(part for part in parts if part),
            headings=headings,
            lines=tuple(with_best(lines, headings, self.table.columns)),
            source=self.table.source,
            verdicts=tuple(self._verdicts()),
            notes=tuple(self.notes.texts),
            remarks=tuple(self._remarks()),
            plots=tuple(plots.of(self.table, self.results)) if self.ran else (),
        )

    def _headings(self) -> Iterator[Heading]:
        yield Heading("row", self.table.x_label or self.table.row_label, align="left")
        for column in self.table.columns.values():
            results = [result for key, result in self.results.items() if key[1] == column.key]
            group = heading_of(column)
            for epoch in EPOCHS:
                if any(result.values[epoch] for result in results) or (self.ran and epoch == "last"):
                    yield Heading(f"{column.key}.{epoch}", TITLES[epoch], group)
            if self.table.baseline and any(len(result.values["last"]) for result in results):
                yield Heading(f"{column.key}.difference", "Δ", group)
            if self.printed and any(column.key in row.printed for row in self.table.rows.values()):
                yield Heading(f"{column.key}.printed", "paper", group)
        for key, title in COST_TITLES.items():
            if any(costs[key].ours is not None for costs in self.costs.values()):
                yield Heading(f"{key}.ours", "ours", title)
            if self.printed and any(costs[key].printed for costs in self.costs.values()):
                yield Heading(f"{key}.printed", "paper", title)
        records = [record for result in self.results.values() for record in result.records.values()]
        for key, (title, _) in SPEEDS.items() if self.ran else ():
            if key != "energy_joules" or measured(records, key) is not None:  # few devices report it
                yield Heading(key, title, "measured")

    def _line(self, row: Row, headings: Sequence[Heading]) -> Line:
        cells = [self._cell(row, heading.key) for heading in headings]
        return Line(row.key, tuple(cells), row.section)

    def _cell(self, row: Row, key: str) -> Cell:
        name, _, what = key.partition(".")
        if key == "row":
            return Cell(row.label, marks=self.notes.mark(row.note))
        if name in self.table.columns:
            return self._result_cell(row, name, what)
        return self._cost_cell(row, name, what) if name in COSTS else self._speed_cell(row, name)

    def _result_cell(self, row: Row, column: str, what: str) -> Cell:
        result = self.results[row.key, column]
        if what == "printed":
            return self._printed_cell(row, column)
        if what == "difference":
            return self._difference_cell(row, column)
        epoch: Epoch = "best" if what == "best" else "last"
        values, reason = result.values[epoch], result.reasons[epoch]
        found = summarise(values.values(), method=self.method)
        if found is None:
            reason = result.unfinished if result.unfinished and not result.records else reason
            told = "" if reason == "not run" else reason
            return Cell(NOTHING, fields={"n": 0, "reason": reason}, marks=self.notes.mark(told))
        return summary_cell(found, values, self._short_of(result, epoch))

    def _short_of(self, result: Result, epoch: Epoch) -> tuple[int, ...]:
        """The notes of a cell that has fewer seeds than others, or than its runs."""
        values, reason = result.values[epoch], result.reasons[epoch]
        fewer = seeds_told(len(values)) if len(values) < self.seeds else ""
        texts = [f"{len(values)} of {len(result.records)} seeds: {reason}" if reason else fewer, result.unfinished]
        return self.notes.mark("; ".join(text for text in texts if text))

    def _difference_cell(self, row: Row, column: str) -> Cell:
        if not (base := self.table.baseline_of(row.key)):
            return difference_cell(None)
        mine, other = (self.results[key, column].values["last"] for key in (row.key, base))
        return difference_cell(compare(mine, other, method=self.method))

    def _printed_cell(self, row: Row, name: str) -> Cell:
        text = row.printed.get(name)
        if text is None:
            return Cell(NOTHING)
        doubt = "nobody could check this number against the paper" if name in row.unverified else ""
        return Cell(text, as_number(text), {"": text}, self.notes.mark(doubt))

    def _cost_cell(self, row: Row, key: str, what: str) -> Cell:
        cost = self.costs[row.key][key]
        if what == "printed":
            return self._printed_cell(row, key)
        if cost.reason:
            return Cell(NOTHING, marks=self.notes.mark(cost.reason))
        differs = self.printed and cost.agrees is False
        told = CLOSE if cost.close else "differs from the paper's"
        marks = self.notes.mark(told) if differs and not row.note else ()
        sign = (" ≈" if cost.close else " ≠") if differs else ""
        text = shown_cost(cost.ours, cost.printed if self.printed else None) + sign
        agrees = None if cost.agrees is None else str(cost.agrees)
        return Cell(text, cost.ours, {"": cost.ours, "agrees": agrees}, marks)

    def _speed_cell(self, row: Row, key: str) -> Cell:
        found = [list(self.results[row.key, column].records.values()) for column in self.table.columns]
        records = next((some for some in found if some), [])
        if key == "milliseconds_per_step":
            speed = measured(records, "images_per_second")
            number = 1000 * records[0].batch_size / speed if speed else None
        else:
            number = measured(records, key)
        if number is None:
            return Cell(NOTHING)
        shown = number * SPEEDS[key][1]
        return Cell(duration(shown) if key == "wall_seconds" else f"{shown:,.0f}", number, {"": number})

    def _same_columns(self) -> list[str]:
        """Columns that tell no more than an earlier one, as a profile trains on other data, and those earlier ones."""
        seen: dict[str, list[str]] = {}
        for column in self.table.columns.values():
            found = [self.results[row, column.key] for row in self.table.rows]
            runs = [sorted(record.identity for record in result.records.values()) for result in found]
            tests = [result.cell.evaluate for result in found]
            if any(runs):
                mark = repr((runs, tests, column.metric, column.split, column.stage, column.relative_to))
                seen.setdefault(mark, []).append(column.label)
        return [label for labels in seen.values() if len(labels) > 1 for label in labels]

    def _costs_of(self) -> str:
        """Which columns' costs are shown, where these are of several networks or runs."""
        columns = list(self.table.columns.values())
        if not self.ran:
            several = len({column.overrides for column in columns}) > 1 and any(
                costs[key].ours is not None for costs in self.costs.values() for key in COSTS
            )
            return f"Costs are those of the networks for the first column, {columns[0].label}." if several else ""
        for row in self.table.rows:
            found = [self.results[row, column.key].records.values() for column in columns]
            if len({frozenset(record.identity for record in records) for records in found if records}) > 1:
                return "Costs, and what was measured, are those of each row's first column that has runs."
        return ""

    def _verdicts(self) -> Iterator[ClaimResult]:
        pairs = [(claim, pair) for claim in self.table.claims for pair in claim.pairs]
        sides = []
        for claim, pair in pairs:
            sign = 1 if self.table.columns[claim.column].better == "lower" else -1
            found = [self.results[row, claim.column].values["last"] for row in pair]
            sides.append(tuple({seed: sign * value for seed, value in values.items()} for values in found))
        judged = judge([(first, second) for first, second in sides], "lower")
        for claim in self.table.claims:
            verdict = combined([one for one, (of, _) in zip(judged, pairs, strict=True) if of is claim])
            looked = f"; looked at {self.looks} times" if self.looks > 1 and self.ran else ""
            details = describe(verdict).removeprefix(verdict.outcome).strip(" ()")
            twice = sum(other.says == claim.says for other in self.table.claims) > 1
            says = f"{claim.says} ({self.table.columns[claim.column].label})" if twice else claim.says
            yield ClaimResult(says, verdict.outcome, details + looked)

    def _remarks(self) -> Iterator[str]:
        if self.ran:
            if self.profile.says:
                yield f"Profile {self.profile.name}: {self.profile.says}."
            yield METHOD
            if self.table.claims:
                yield VERDICTS
            if self.profile.siblings:
                yield STAND_INS
            yield from told_of(self.results)
            if same := self._same_columns():
                yield f"These columns show the same runs in this profile: {', '.join(same)}."
        if costs := self._costs_of():
            yield costs
        yield from self.table.notes
        if self.table.selection and self.printed:
            yield f"The paper's numbers: {self.table.selection}."
