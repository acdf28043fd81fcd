"""What stands in a cell: a mean, a difference, and which of a column is the best; and what is said of the runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attnbench.tables.records import Record
from attnbench.tables.report import Cell, Heading, Line
from attnbench.tables.spec import Column
from attnbench.tables.statistics import Difference, Summary
from attnbench.tables.values import Epoch, Key, Result

NOTHING = "–"
MINUS = "−"
CHANGED = " with changes that were not committed"
TITLES: dict[Epoch, str] = {"last": "last epoch", "best": "best epoch"}
UNITS = {"error_increase": "times", "accuracy_per_million": "points a million", "response": "of stage 1"}


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


def heading_of(column: Column) -> str:
    """A column's label with its unit."""
    return f"{column.label} ({unit_of(column.metric)})"


def unit_of(metric: str) -> str:
    """What a metric is measured in."""
    return UNITS.get(metric, "%")


def summary_cell(found: Summary, values: Mapping[int, float], marks: tuple[int, ...]) -> Cell:
    """A mean with its deviation."""
    text = f"{found.mean:.2f}".replace("-", MINUS) + (f" ± {found.std:.2f}" if found.std is not None else "")
    fields = {"mean": found.mean, "std": found.std, "n": found.n, "low": found.low, "high": found.high}
    seeds = {f"seed{seed}": value for seed, value in values.items()}
    return Cell(text, found.mean, {**fields, **seeds}, marks)


def difference_cell(found: Difference | None) -> Cell:
    """A difference with its interval and p value, which are left out where seeds that differ alike say neither."""
    if found is None:
        return Cell(NOTHING)
    low, high, p = (None, None, None) if found.alike else (found.low, found.high, found.p)
    text = signed(found.mean)
    if low is not None and high is not None:
        text += f" [{signed(low)}, {signed(high)}]"
    fields = {"mean": found.mean, "low": low, "high": high, "p": p, "paired": str(found.paired)}
    return Cell(text, found.mean, fields)


def signed(number: float) -> str:
    """A difference with its sign, a true minus as everywhere in a table."""
    return f"{number:+.2f}".replace("-", MINUS)


def with_best(lines: Sequence[Line], headings: Sequence[Heading], columns: Mapping[str, Column]) -> Iterator[Line]:
    """Lines with the best mean of each column of results marked, if there are several."""
    best: dict[int, float] = {}
    for place, heading in enumerate(headings):
        name, _, what = heading.key.partition(".")
        means = [line.cells[place].sort for line in lines if line.cells[place].sort is not None]
        if name in columns and what in TITLES and len(means) > 1 and columns[name].metric != "response":
            choose = min if columns[name].better == "lower" else max
            best[place] = choose(mean for mean in means if mean is not None)
    for line in lines:
        cells = [
            Cell(cell.text, cell.sort, cell.fields, cell.marks, best=place in best and cell.sort == best[place])
            for place, cell in enumerate(line.cells)
        ]
        yield Line(line.key, tuple(cells), line.section)


def told_of(results: Mapping[Key, Result]) -> Iterator[str]:
    """What has to be said of the records: several versions of the code, parts of data, seeds, dropped settings."""
    records = [record for result in results.values() for record in result.records.values()]
    versions = sorted({version_of(record) for record in records})
    if len(versions) > 1:
        yield f"The runs come from {len(versions)} versions of the code: {', '.join(versions)}."
    elif any(CHANGED in version for version in versions):
        yield f"The runs come from the code's version {versions[0]}."
    for data in sorted(of_several_files(results)):
        yield f"{data}: some runs of a column saw other files than others."
    if devices := sorted({device_of(record) for record in records}):
        yield f"Speeds are those of training, on {'; '.join(devices)}; a run that shares its device is slower."
    parts = {(record.choices["data"], record.data.classes, record.data.all_classes) for record in records}
    for data, classes, whole in sorted((part for part in parts if part[2]), key=str):
        yield f"{data}: {classes} of {whole} classes, so these are no results on the whole set."
    if dropped := sorted({key for result in results.values() for key in result.cell.dropped if result.records}):
        yield f"Settings of the paper that this profile's choices do not have: {', '.join(dropped)}."
    seeds = sorted({len(result.values["last"]) for result in results.values() if result.values["last"]})
    if seeds == [1]:
        yield "One seed: no spread, no interval and no test."
    elif seeds:
        few = f"; notes tell the cells of fewer than {seeds[-1]}" if len(seeds) > 1 else ""
        yield f"Each cell is of {' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds{few}."


def device_of(record: Record) -> str:
    """What a run was made on: `AMD EPYC (2 cores), 1 thread, bf16`."""
    found = record.resolved
    count = f"{found.devices} x " if found.devices > 1 else ""
    threads = f", {found.threads} thread{'s' * (found.threads > 1)}" if found.accelerator == "cpu" else ""
    return f"{count}{found.device_name}{threads}, {found.precision}"


def version_of(record: Record) -> str:
    """The code's version that a run was made with."""
    git = record.environment.git  # None of an installed package
    if git is None:
        return record.environment.attnbench[:7]
    return git.commit[:7] + (CHANGED if git.dirty else "")


def of_several_files(results: Mapping[Key, Result]) -> set[str]:
    """Choices of data under which the runs of a column did not all read the same files."""
    prints: dict[tuple[str, str], set[str]] = {}
    for (_, column), result in results.items():
        for record in result.records.values():
            prints.setdefault((column, record.choices["data"]), set()).add(record.data.fingerprint)
    return {data for (_, data), found in prints.items() if len(found) > 1}


def seeds_told(count: int) -> str:
    """A number of seeds in words."""
    return "1 seed: no spread" if count == 1 else f"{count} seeds"
