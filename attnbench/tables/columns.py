"""The columns of a report that are shown: those of the default, or those that the user names with `--columns`."""

from collections.abc import Collection, Sequence
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
SETS = {"default": (), "all": (*RESULTS, *COSTS, *MEASURED), "costs": COSTS, "measured": tuple(MEASURED)}
"""Names of several columns; `default` are the columns that are shown when none are named."""
NAMES = (*RESULTS, *COSTS, *MEASURED, *SETS)


def split_names(text: str | None) -> list[str]:
    """Return the names in the value of `--columns`."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else []


def check_columns(names: Sequence[str], results: Collection[str]) -> None:
    """Check names of columns before any work is done.

    Args:
        names: as typed.
        results: keys of the table's columns of results.

    Raises:
        UserError: a name is neither one of these nor one of `NAMES`.
    """
    _check_known(names, list(dict.fromkeys([*results, *NAMES])))


def check_keys(names: Sequence[str], keys: Sequence[str]) -> None:
    """Raise `UserError` for a name that is neither a key of a heading nor a set of columns."""
    _check_known(names, list(dict.fromkeys([*keys, *SETS])))


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"--columns {name}: no such column{nearest(name, known)} ({', '.join(known)})")


def choose_columns(report: Report, names: Sequence[str]) -> Report:
    """Return the report with the named columns only; with all, of which some are not shown, if there are no names.

    Results are those of the named kinds (`last`, `difference`, …) in the named columns of results; if only one of both
    is named, those of every column, or the kinds that are shown by default.
    """
    if not names:
        return report
    chosen = {part for name in names for part in (SETS.get(name) or (name,))}
    places = [place for place, heading in enumerate(report.headings) if _is_chosen(heading, chosen)]
    headings = tuple(replace(report.headings[place], shown=True) for place in places)
    return _with_columns(report, places, headings)


def choose_by_key(report: Report, names: Sequence[str]) -> Report:
    """Return the report with its first column and those that names choose: keys of headings, or sets of `SETS`.

    For reports whose columns are not those of a paper's table. With no names, all columns, of which some are not shown.

    Raises:
        UserError: a name is neither.
    """
    if not names:
        return report
    check_keys(names, [heading.key for heading in report.headings[1:]])
    places = [place for place, heading in enumerate(report.headings) if place == 0 or _is_named(heading, names)]
    return _with_columns(report, places, tuple(replace(report.headings[place], shown=True) for place in places))


def _is_named(heading: Heading, names: Sequence[str]) -> bool:
    if heading.shown and "default" in names:
        return True
    return any(name in (heading.key, "all") or heading.key in SETS.get(name, ()) for name in names)


def shown_columns(report: Report) -> Report:
    """Return the report without the columns that are not shown, and without the notes that only these refer to."""
    places = [place for place, heading in enumerate(report.headings) if heading.shown]
    if len(places) == len(report.headings):
        return report
    return _with_columns(report, places, tuple(report.headings[place] for place in places))


def _is_chosen(heading: Heading, chosen: Collection[str]) -> bool:
    name, _, _ = heading.key.partition(".")
    if heading.kind == "row" or ("default" in chosen and heading.shown):
        return True
    if heading.kind == "measured":
        return any(heading.key == MEASURED[choice] for choice in chosen if choice in MEASURED)
    if heading.kind in ("cost", "printed cost"):
        return name in chosen
    kinds, keys = set(chosen) & set(RESULTS), set(chosen) - set(NAMES)
    if not kinds and not keys:
        return False
    return (heading.kind in kinds if kinds else heading.shown) and (name in keys or not keys)


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
