"""Which cells of a table are emphasised: the best mean of a column, where it is distinguished from all others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean

from attnbench.tables.report import Heading, Line
from attnbench.tables.verdicts.anytime import LEVEL, Estimate
from attnbench.tables.verdicts.comparisons import Comparisons, sample_key


def mark_best(comparisons: Comparisons, lines: Sequence[Line], headings: Sequence[Heading]) -> Iterator[Line]:
    """Yield the lines with the best mean after the last epoch marked in each column that has a distinguished one."""
    best = [best_rows(comparisons, heading) for heading in headings]
    for line in lines:
        cells = (replace(cell, best=line.key in rows) for cell, rows in zip(line.cells, best, strict=True))
        yield replace(line, cells=tuple(cells))


def best_rows(comparisons: Comparisons, heading: Heading) -> frozenset[str]:
    """Return the row with the best mean of a column, with those that show the same runs.

    Empty unless it differs from every other row beyond chance. No correction is needed, as all of these comparisons
    must be at the level. No response is better than another.
    """
    name, _, part = heading.key.partition(".")
    table, results = comparisons.inputs.table, comparisons.inputs.results
    if name not in table.columns or part != "last" or table.columns[name].metric == "response":
        return frozenset()
    means = {row: mean(values.values()) for row in table.rows if (values := results[row, name].values["last"])}
    if not means:
        return frozenset()
    first = (min if table.columns[name].better == "lower" else max)(means, key=means.__getitem__)
    same = frozenset(row for row in means if sample_key(results[row, name]) == sample_key(results[first, name]))
    others = [row for row in means if row not in same]
    differs = all(beyond_chance(comparisons.difference(first, row, name)) for row in others)
    return same if others and differs and (first, name) not in comparisons.untrained else frozenset()


def beyond_chance(difference: Estimate | None) -> bool:
    """Return whether a difference is unlikely to be one of chance."""
    p = difference.p() if difference else None
    return p is not None and p < LEVEL
