"""The configuration of each cell of a table: overrides of table, row, column, profile and user, composed and checked.

Overrides apply in the order table, row, column, profile (first the smaller network that replaces the backbone, then
the profile's own), command line; a later one replaces an earlier one of the same key. Where a profile or the command
line chooses another backbone or data set than the table, those of the table's settings are kept that the new choice
has, and the others are dropped; the settings of a recipe are kept or dropped as a whole.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.config.compose import Composer
from attnbench.config.overrides import parse
from attnbench.config.schema import flatten
from attnbench.config.validate import OPEN_GROUPS, RunConfig, has_key
from attnbench.errors import UserError
from attnbench.tables.spec.table import Column, PaperTable, Profile, Row

WHOLE = "recipe"
"""Group whose settings are dropped together when another choice is made."""


@dataclass(frozen=True)
class CellConfig:
    """The configuration of a cell.

    Attributes:
        config: composed, with seed 0; None where there is none, for the given `reason`.
        evaluate: overrides under which the trained run is tested.
        dropped: settings of the table that the profile's choices do not have.
    """

    row: Row
    column: Column
    config: RunConfig | None
    evaluate: tuple[str, ...] = ()
    reason: str = ""
    dropped: tuple[str, ...] = ()

    @property
    def map(self) -> str:
        """The map whose score the cell shows; empty for the class activation map where the classifier pools."""
        return self.row.map or self.column.map


def compose_cells(
    table: PaperTable, profile: Profile, extra: Sequence[str], composer: Composer
) -> dict[tuple[str, str], CellConfig]:
    """Compose all cells of a table, by row and column.

    Raises:
        UserError: no cell has the key of an override, or the table's file has a mistake.
    """
    known: set[str] = set()
    cells = {
        (row.key, column.key): _compose_cell(table, row, column, profile, extra, composer, known)
        for row in table.rows.values()
        for column in table.columns.values()
    }
    for key in map(key_of, extra):
        if key not in known and any(cell.config for cell in cells.values()):
            raise UserError(f"{key}: no row of {table.name} has such a key")
    check_rows_differ(table, cells, last_by_key(extra))
    return cells


def check_rows_differ(table: PaperTable, cells: Mapping[tuple[str, str], CellConfig], typed: Mapping[str, str]) -> None:
    """Check that typed overrides leave different rows different.

    Raises:
        UserError: two rows that differ in a typed key would be the same run: `attention=bam` beside the rows
            `attention=none` and `attention=bam` would compare a network with itself.
    """
    first_with: dict[str, CellConfig] = {}
    for (_, column), cell in cells.items():
        if cell.config is None:
            continue
        content = json.dumps([column, cell.evaluate, cell.config.values], sort_keys=True)
        other = first_with.setdefault(content, cell)
        mine, others = (last_by_key([*table.overrides, *one.row.overrides]) for one in (cell, other))
        for key, line in typed.items():
            if mine.get(key) != others.get(key):
                raise UserError(
                    f"{line}: the rows of {table.name} differ in {key}; "
                    f"{other.row.key} and {cell.row.key} would be the same run"
                )


def _compose_cell(
    table: PaperTable,
    row: Row,
    column: Column,
    profile: Profile,
    extra: Sequence[str],
    composer: Composer,
    known: set[str],
) -> CellConfig:
    """Compose a cell, and add the keys of typed overrides that it has to `known`."""
    written = last_by_key([*table.overrides, *row.overrides, *column.overrides])
    if reason := table.not_runnable or row.not_runnable or profile.left_out.get(backbone_of(written)):
        return CellConfig(row, column, None, reason=reason)
    from_profile = last_by_key([*sibling_of(written, profile), *profile.overrides])
    typed = last_by_key(extra)
    lines, dropped = merge(written, from_profile, typed, composer)
    known.update(key for key in typed if key not in dropped)
    try:
        config = composer.compose(list(lines.values()))
    except UserError as error:
        raise UserError(f"{table.name}, {row.key}, {column.key}: {error}") from error
    return CellConfig(row, column, config, (*row.evaluate, *column.evaluate), dropped=tuple(dropped))


def last_by_key(lines: Iterable[str]) -> dict[str, str]:
    """Return overrides by key; the last one of a key counts."""
    return {key_of(line): line for line in lines}


def key_of(line: str) -> str:
    """Return the key of an override."""
    return line.partition("=")[0].lstrip("+~")


def backbone_of(written: Mapping[str, str]) -> str:
    """Return the choice of backbone among overrides by key."""
    return written.get("backbone", "backbone=resnet20").partition("=")[2]


def sibling_of(written: Mapping[str, str], profile: Profile) -> tuple[str, ...]:
    """Return the overrides with which a profile replaces a row's backbone. Raises `UserError` if it has none for it."""
    if not profile.siblings:
        return ()
    choice = backbone_of(written)
    if choice not in profile.siblings:
        raise UserError(f"profile {profile.name}: no smaller network replaces backbone={choice}")
    return profile.siblings[choice]


def merge(
    written: Mapping[str, str], from_profile: Mapping[str, str], typed: Mapping[str, str], composer: Composer
) -> tuple[dict[str, str], list[str]]:
    """Merge a table's overrides with those of a profile and typed ones.

    Returns:
        The overrides by key, and the keys that are dropped because a changed choice does not have them.
    """
    changes = {**from_profile, **typed}
    lines = {**written, **changes}
    changed_groups = {key for key in changes if "." not in key and changes[key] != written.get(key)}
    tree, choices = composer.chosen(parse(list(lines.values()), composer.folders))
    existing = {**flatten(tree), **dict.fromkeys(choices)}
    dropped = []
    for key in [key for key in lines if "." in key]:
        group = key.partition(".")[0]
        missing = not has_key(existing, key) and (
            (key in typed and group in OPEN_GROUPS) or (key not in from_profile and group in changed_groups)
        )
        if missing or (group == WHOLE and group in changed_groups and key not in changes):
            del lines[key]
            dropped.append(key)
    return lines, dropped


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """Return the configuration with another seed."""
    return replace(config, values={**config.values, "seed": seed})
