"""From results to a sheet: what stands in each cell of a paper's table, and what is said below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attnbench.papers import plots
from attnbench.papers.collect import EPOCHS, Epoch, Key, Result, measured
from attnbench.papers.costs import Cost
from attnbench.papers.costs import shown as shown_cost
from attnbench.papers.sheet import Cell, Heading, Line, Sheet, Verdict
from attnbench.papers.spec import COSTS, Column, PaperTable, Profile, Row
from attnbench.papers.statistics import Difference, Summary, compare, summarise
from attnbench.papers.verdicts import combined, describe, judge
from attnbench.runs.summary import duration

NOTHING = "–"
TITLES: dict[Epoch, str] = {"last": "last epoch", "best": "best epoch"}
COST_TITLES = {"parameters": "parameters", "multiply_adds": "multiply-adds"}
SPEEDS = {
    "images_per_second": ("img/s", 1.0),
    "milliseconds_per_step": ("ms/step", 1.0),
    "peak_memory_bytes": ("MiB", 1 / 2**20),
    "wall_seconds": ("time", 1.0),
}
METHOD = (
    "Mean ± standard deviation over seeds (n-1); Δ: to the baseline row, paired by seed where seeds pair up, else "
    "Welch's; [low, high]: its 95 % interval."
)
VERDICTS = "A claim is judged by the last epoch, at 95 % after Holm's correction over all pairs of the table."


@dataclass
class Notes:
    """Numbered notes; the same text has the same number."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> tuple[int, ...]:
        """The number of a note, as a cell's marks; none for no text."""
        if not text:
            return ()
        if text not in self.texts:
            self.texts.append(text)
        return (self.texts.index(text) + 1,)


@dataclass
class Assembly:
    """What a sheet is made of. looks: how often the claims were judged, on different records. printed: whether the
    paper's numbers stand beside ours.
    """

    table: PaperTable
    profile: Profile
    results: Mapping[Key, Result]
    costs: Mapping[str, Mapping[str, Cost]]
    looks: int = 1
    method: str = "t"

    def __post_init__(self) -> None:
        self.ran = any(result.records for result in self.results.values())
        self.printed = self.profile.name == "paper" or not self.ran
        self.notes = Notes()

    def sheet(self) -> Sheet:
        """The sheet."""
        headings = tuple(self._headings())
        lines = tuple(self._line(row, headings) for row in self.table.rows.values())
        profile = f"profile {self.profile.name}" if self.ran and self.profile.says else ""
        return Sheet(
            title=" · ".join(part for part in (self.table.name, self.table.title, profile) if part),
            headings=headings,
            lines=tuple(with_best(lines, headings, self.table.columns)),
            source=self.table.source,
            verdicts=tuple(self._verdicts()),
            notes=tuple(self.notes.texts),
            remarks=tuple(self._remarks()),
            plots=tuple(plots.of(self.table, self.results)) if self.ran else (),
        )

    def _headings(self) -> Iterator[Heading]:
        yield Heading("row", "", align="left")
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
        for key, (title, _) in SPEEDS.items() if self.ran else ():
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
            other = self.results[self.table.baseline, column].values["last"]
            same = row.key == self.table.baseline
            return difference_cell(None if same else compare(result.values["last"], other, method=self.method))
        epoch: Epoch = "best" if what == "best" else "last"
        values, reason = result.values[epoch], result.reasons[epoch]
        found = summarise(values.values(), method=self.method)
        if found is None:
            told = "" if reason == "not run" else reason
            return Cell(NOTHING, fields={"n": 0, "reason": reason}, marks=self.notes.mark(told))
        short = f"{len(values)} of {len(result.records)} seeds: {reason}" if reason else ""
        return summary_cell(found, values, self.notes.mark(short))

    def _printed_cell(self, row: Row, name: str) -> Cell:
        text = row.printed.get(name)
        if text is None:
            return Cell(NOTHING)
        doubt = "nobody could check this number against the paper" if name in row.unverified else ""
        number = float(text.rstrip("kMG"))
        return Cell(text, number, {"": text}, self.notes.mark(doubt))

    def _cost_cell(self, row: Row, key: str, what: str) -> Cell:
        cost = self.costs[row.key][key]
        if what == "printed":
            return self._printed_cell(row, key)
        differs = self.printed and cost.agrees is False
        marks = self.notes.mark("differs from the paper's") if differs and not row.note else ()
        like = cost.printed if self.printed else None
        text = shown_cost(cost.ours, like) + (" ≠" if differs else "")
        agrees = None if cost.agrees is None else str(cost.agrees)
        return Cell(text, cost.ours, {"": cost.ours, "agrees": agrees}, marks)

    def _speed_cell(self, row: Row, key: str) -> Cell:
        result = next(result for found, result in self.results.items() if found[0] == row.key)
        records = list(result.records.values())
        if key == "milliseconds_per_step":
            speed = measured(records, "images_per_second")
            number = 1000 * records[0]["config"]["data"]["batch_size"] / speed if speed else None
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
            runs = [sorted(record["identity"] for record in result.records.values()) for result in found]
            tests = [result.cell.evaluate for result in found]
            if any(runs):
                mark = repr((runs, tests, column.metric, column.split, column.stage, column.relative_to))
                seen.setdefault(mark, []).append(column.label)
        return [label for labels in seen.values() if len(labels) > 1 for label in labels]

    def _verdicts(self) -> Iterator[Verdict]:
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
            yield Verdict(claim.says, verdict.outcome, details + looked)

    def _remarks(self) -> Iterator[str]:
        if self.ran:
            if self.profile.says:
                yield f"Profile {self.profile.name}: {self.profile.says}."
            yield METHOD
            if self.table.claims:
                yield VERDICTS
            yield from told_of(self.results)
            if same := self._same_columns():
                yield f"These columns show the same runs in this profile: {', '.join(same)}."
        yield from self.table.notes
        if self.table.selection and self.printed:
            yield f"The paper's numbers: {self.table.selection}."


def told_of(results: Mapping[Key, Result]) -> Iterator[str]:
    """What has to be said of the records: several versions of the code, parts of data, seeds, dropped settings."""
    records = [record for result in results.values() for record in result.records.values()]
    versions = sorted(
        {
            str(record["environment"]["git"].get("commit") or record["environment"]["attnbench"])[:7]
            for record in records
        }
    )
    if len(versions) > 1:
        yield f"The runs come from {len(versions)} versions of the code: {', '.join(versions)}."
    parts = {
        (record["choices"]["data"], record["data"]["classes"], record["data"].get("all_classes")) for record in records
    }
    for data, classes, whole in sorted((part for part in parts if part[2]), key=str):
        yield f"{data}: {classes} of {whole} classes, so these are no results on the whole set."
    if dropped := sorted({key for result in results.values() for key in result.cell.dropped if result.records}):
        yield f"Settings of the paper that this profile's choices do not have: {', '.join(dropped)}."
    if {len(result.records) for result in results.values() if result.records} == {1}:
        yield "One seed: no spread, no interval and no test."


def heading_of(column: Column) -> str:
    """A column's label with its unit."""
    units = {"error_increase": "times", "accuracy_per_million": "points a million", "response": "of stage 1"}
    return f"{column.label} ({units.get(column.metric, '%')})"


def summary_cell(found: Summary, values: Mapping[int, float], marks: tuple[int, ...]) -> Cell:
    """A mean with its deviation."""
    text = f"{found.mean:.2f}" + (f" ± {found.std:.2f}" if found.std is not None else "")
    fields = {"mean": found.mean, "std": found.std, "n": found.n, "low": found.low, "high": found.high}
    seeds = {f"seed{seed}": value for seed, value in values.items()}
    return Cell(text, found.mean, {**fields, **seeds}, marks)


def difference_cell(found: Difference | None) -> Cell:
    """A difference with its interval."""
    if found is None:
        return Cell(NOTHING)
    text = f"{found.mean:+.2f}"
    if found.low is not None and found.high is not None:
        text += f" [{found.low:+.2f}, {found.high:+.2f}]"
    fields = {"mean": found.mean, "low": found.low, "high": found.high, "p": found.p, "paired": str(found.paired)}
    return Cell(text, found.mean, fields)


def with_best(lines: Sequence[Line], headings: Sequence[Heading], columns: Mapping[str, Column]) -> Iterator[Line]:
    """Lines with the best mean of each column of results marked, if there are several."""
    best: dict[int, float] = {}
    for place, heading in enumerate(headings):
        name, _, what = heading.key.partition(".")
        means = [line.cells[place].sort for line in lines if line.cells[place].sort is not None]
        if name in columns and what in TITLES and len(means) > 1:
            choose = min if columns[name].better == "lower" else max
            best[place] = choose(mean for mean in means if mean is not None)
    for line in lines:
        cells = [
            Cell(cell.text, cell.sort, cell.fields, cell.marks, best=place in best and cell.sort == best[place])
            for place, cell in enumerate(line.cells)
        ]
        yield Line(line.key, tuple(cells), line.section)
