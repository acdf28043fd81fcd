"""From a table and a profile to what each cell runs: overrides put together, composed and checked.

Overrides apply in the order table, row, column, profile (what stands in for the backbone, then its own), command line;
a later one replaces an earlier one of the same key. Where a profile or the command line chooses another backbone or
data set than the table, the table's settings stay as far as the new choice has them, and are left out otherwise; a
recipe is taken or left as a whole.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.config.compose import Composer
from attnbench.config.overrides import parse
from attnbench.config.schema import flatten
from attnbench.config.validate import OPEN_GROUPS, RunConfig, has_key
from attnbench.errors import UserError
from attnbench.tables.spec import Column, PaperTable, Profile, Row

WHOLE = "recipe"
"""The group whose settings belong to their choice."""


@dataclass(frozen=True)
class CellConfig:
    """What a row and a column run. config: composed, with seed 0; None where `reason` says why there is none.

    evaluate: overrides under which the trained run is tested. dropped: settings that the profile's choices lack.
    """

    row: Row
    column: Column
    config: RunConfig | None
    evaluate: tuple[str, ...] = ()
    reason: str = ""
    dropped: tuple[str, ...] = ()


def cells_of(
    table: PaperTable, profile: Profile, extra: Sequence[str], composer: Composer
) -> dict[tuple[str, str], CellConfig]:
    """All cells of a table, by row and column. Raises `UserError` for overrides that nothing knows, or a mistake in
    the table's file.
    """
    known: dict[str, None] = {}
    made = {
        (row.key, column.key): _cell(table, row, column, profile, extra, composer, known)
        for row in table.rows.values()
        for column in table.columns.values()
    }
    for key in map(key_of, extra):
        if key not in known and any(cell.config for cell in made.values()):
            raise UserError(f"{key}: no row of {table.name} has such a key")
    require_told_apart(table, made, settle(extra))
    return made


def require_told_apart(
    table: PaperTable, cells: Mapping[tuple[str, str], CellConfig], typed: Mapping[str, str]
) -> None:
    """Raise `UserError` if what is typed makes rows alike that the table tells apart by it: `attention=bam` beside the
    rows `attention=none` and `attention=bam` would compare a network with itself.
    """
    runs: dict[str, CellConfig] = {}
    for (_, column), cell in cells.items():
        if cell.config is None:
            continue
        mark = json.dumps([column, cell.evaluate, cell.config.values], sort_keys=True)
        other = runs.setdefault(mark, cell)
        ours, theirs = settle([*table.overrides, *cell.row.overrides]), settle([*table.overrides, *other.row.overrides])
        for key, line in typed.items():
            if ours.get(key) != theirs.get(key):
                raise UserError(f"{line}: {table.name} tells rows apart by {key};"
                                f" {other.row.key} and {cell.row.key} would be the same run")  # fmt: skip


def _cell(
    table: PaperTable,
    row: Row,
    column: Column,
    profile: Profile,
    extra: Sequence[str],
    composer: Composer,
    known: dict[str, None],
) -> CellConfig:
    if reason := table.not_runnable or row.not_runnable:
        return CellConfig(row, column, None, reason=reason)
    written = settle([*table.overrides, *row.overrides, *column.overrides])
    own, typed = settle([*stand_in(written, profile), *profile.overrides]), settle(extra)
    lines, dropped = merged(written, own, typed, composer)
    known.update(dict.fromkeys(key for key in typed if key not in dropped))
    try:
        config = composer.compose(list(lines.values()))
    except UserError as error:
        raise UserError(f"{table.name}, {row.key}, {column.key}: {error}") from error
    return CellConfig(row, column, config, (*row.evaluate, *column.evaluate), dropped=tuple(dropped))


def settle(lines: Iterable[str]) -> dict[str, str]:
    """Overrides by key; the last of a key counts."""
    return {key_of(line): line for line in lines}


def key_of(line: str) -> str:
    """The key of an override."""
    return line.partition("=")[0].lstrip("+~")


def stand_in(written: Mapping[str, str], profile: Profile) -> tuple[str, ...]:
    """What a profile puts in the place of a row's backbone. Raises `UserError` if it names nothing."""
    if not profile.siblings:
        return ()
    choice = written.get("backbone", "backbone=resnet20").partition("=")[2]
    if choice not in profile.siblings:
        raise UserError(f"profile {profile.name}: nothing stands in for backbone={choice}")
    return profile.siblings[choice]


def merged(
    written: Mapping[str, str], own: Mapping[str, str], typed: Mapping[str, str], composer: Composer
) -> tuple[dict[str, str], list[str]]:
    """A table's overrides with those of a profile and typed ones, and the keys that are left out."""
    changes = {**own, **typed}
    lines = {**written, **changes}
    groups = {key for key in changes if "." not in key and changes[key] != written.get(key)}
    tree, choices = composer.chosen(parse(list(lines.values()), composer.folders))
    there = {**flatten(tree), **dict.fromkeys(choices)}
    dropped = []
    for key in [key for key in lines if "." in key]:
        group = key.partition(".")[0]
        lacking = not has_key(there, key) and (
            (key in typed and group in OPEN_GROUPS) or (key not in own and group in groups)
        )
        if lacking or (group == WHOLE and group in groups and key not in changes):
            del lines[key]
            dropped.append(key)
    return lines, dropped


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The same run with another seed."""
    return replace(config, values={**config.values, "seed": seed})
