"""The columns of a report that are shown: those of the default, or those that the user names with `--columns`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from attnbench.errors import UserError, nearest
from attnbench.tables.report import Cell, Heading, Report

RESULTS = ("last", "best", "difference", "printed")
"""Kinds of a column of results: means after the last and the best epoch, Δ to the baseline, the paper's number."""
COSTS = ("parameters", "multiply_adds")
MEASURED = {
    "speed": "images_per_second",
    "step": "milliseconds_per_step",
    "memory": "peak_memory_bytes",
    "time": "wall_seconds",
    "energy": "energy_joules",
}
"""Names of measured columns, and the keys of their headings."""
GUIDE = {
    "guide_loss": "guide_loss_share",
    "guide_gradient": "guide_gradient_share",
    "guide_importance": "guide_importance_share",
}
"""Names of the columns of a guide's shares, and the keys of their headings."""
SETS = {
    "default": (),
    "all": (),
    "costs": COSTS,
    "measured": tuple(MEASURED),
    "guide": tuple(GUIDE),
}
"""Names of several columns; `default` are the columns that are shown when none are named."""
HIDDEN = (*MEASURED, *GUIDE, "measured", "guide")
"""Names of columns that are shown only where they are named."""
NAMES = (*RESULTS, *COSTS, *MEASURED, *GUIDE, *SETS)


def split_names(text: str | None) -> list[str]:
    """Return the names in the value of `--columns`."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else []


def check_columns(names: Sequence[str], known: Iterable[str]) -> None:
    """Raise `UserError`, with the nearest name, for a name that is not known; `known` may have names twice."""
    each = list(dict.fromkeys(known))
    for name in names:
        if name not in each:
            raise UserError(f"--columns {name}: no such column{nearest(name, each)} ({', '.join(each)})")


def choose_columns(report: Report, names: Sequence[str]) -> Report:
    """Return the report with the named columns only; with all, of which some are not shown, if there are no names.

    Results are those of the named kinds (`last`, `difference`, …) in the named columns of results; if only one of both
    is named, those of every column, or the kinds that are shown by default. Other columns are named by themselves.
    """
    if not names:
        return report
    chosen = expanded(names)
    results = {_first_part(heading) for heading in report.headings if heading.kind in RESULTS}
    places = [place for place, heading in enumerate(report.headings) if _is_chosen(heading, chosen, chosen & results)]
    headings = tuple(replace(report.headings[place], shown=True) for place in places)
    return _with_columns(report, places, headings)


def expanded(names: Iterable[str]) -> set[str]:
    """Return names of columns with each set's columns in its place; `default` and `all` stay."""
    return {part for name in names for part in (SETS.get(name) or (name,))}


def shown_columns(report: Report) -> Report:
    """Return the report without the columns that are not shown, and without the notes that only these refer to."""
    places = [place for place, heading in enumerate(report.headings) if heading.shown]
    if len(places) == len(report.headings):
        return report
    return _with_columns(report, places, tuple(report.headings[place] for place in places))


def _is_chosen(heading: Heading, chosen: Collection[str], keys: Collection[str]) -> bool:
    """Return whether a column is among the chosen names, of which `keys` name columns of results."""
    if heading.kind == "row" or "all" in chosen or ("default" in chosen and heading.shown):
        return True
    if heading.kind not in RESULTS:
        return is_named(heading, chosen)
    kinds = set(chosen) & set(RESULTS)
    if not kinds and not keys:
        return False
    return (heading.kind in kinds if kinds else heading.shown) and (_first_part(heading) in keys or not keys)


def shown_besides(headings: Sequence[Heading], names: Sequence[str]) -> tuple[Heading, ...]:
    """Return the headings, of which those with these names are shown too."""
    chosen = expanded(names)
    return tuple(replace(heading, shown=True) if is_named(heading, chosen) else heading for heading in headings)


def names_in(report: Report) -> list[str]:
    """Return the names of a report's columns without its first, and of the sets that have some of them."""
    keys = [heading.key for heading in report.headings[1:]]
    holds = {name: any(is_named(heading, columns) for heading in report.headings) for name, columns in SETS.items()}
    return [*keys, *(name for name, columns in SETS.items() if holds[name] or not columns)]


def is_named(heading: Heading, chosen: Collection[str]) -> bool:
    """Return whether one of the chosen names is that of a column that holds no results."""
    by_name = MEASURED | GUIDE
    return _first_part(heading) in chosen or any(by_name.get(name) == heading.key for name in chosen)


def _first_part(heading: Heading) -> str:
    """Return what a heading's key names: a column of results, a cost (`parameters.ours`), or the column itself."""
    return heading.key.partition(".")[0]


def _with_columns(report: Report, places: Sequence[int], headings: tuple[Heading, ...]) -> Report:
    """Return the report with some of its columns, and with the notes that their cells refer to, numbered again."""
    lines = [replace(line, cells=tuple(line.cells[place] for place in places)) for line in report.lines]
    used = sorted({mark for line in lines for cell in line.cells for mark in cell.marks})
    numbers = {mark: number for number, mark in enumerate(used, start=1)}
    lines = [replace(line, cells=tuple(_renumbered(cell, numbers) for cell in line.cells)) for line in lines]
    notes = tuple(report.notes[mark - 1] for mark in used)
    return replace(report, headings=headings, lines=tuple(lines), notes=notes)


def _renumbered(cell: Cell, numbers: dict[int, int]) -> Cell:
    return replace(cell, marks=tuple(numbers[mark] for mark in cell.marks)) if cell.marks else cell
