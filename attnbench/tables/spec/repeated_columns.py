"""Columns that a profile or an override makes equal, because it trains all of them on one data set: shown once."""

import json
from collections.abc import Mapping
from dataclasses import replace

from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.notes import Note
from attnbench.tables.spec.table import Claim, Column, PaperTable

Cells = dict[tuple[str, str], CellConfig]


def merge_columns(table: PaperTable, cells: Cells) -> tuple[PaperTable, Cells]:
    """Leave out columns whose cells are those of an earlier column, and the claims that they repeat.

    Returns:
        The table, in which one column stands for all that are equal and a note says so, and the cells of its columns.
    """
    kept = kept_columns(table, cells)
    stands_for = {name: [key for key in kept if kept[key] == name] for name in dict.fromkeys(kept.values())}
    if len(stands_for) == len(kept):
        return table, cells
    columns = {name: _column(table.columns[name], keys, kept) for name, keys in stands_for.items()}
    merged = replace(
        table,
        columns=columns,
        claims=tuple(_claims(table, kept)),
        notes=(*table.notes, *_notes(table, stands_for)),
    )
    return merged, {key: replace(cell, column=columns[key[1]]) for key, cell in cells.items() if key[1] in columns}


def kept_columns(table: PaperTable, cells: Cells) -> dict[str, str]:
    """Return for each column the first that is equal to it."""
    first: dict[str, str] = {}
    kept: dict[str, str] = {}
    for column in table.columns.values():  # `relative_to` may name a later column, which is no reason to look ahead
        relative_to = kept.get(column.relative_to, column.relative_to)
        shown = [column.metric, column.split, column.stage, column.epoch, column.map, relative_to]
        runs = [_content(cells[row, column.key]) for row in table.rows]
        if not any(cells[row, column.key].config for row in table.rows):
            shown.append(column.key)
        kept[column.key] = first.setdefault(json.dumps([shown, runs], sort_keys=True), column.key)
    return kept


def _content(cell: CellConfig) -> list[object]:
    return [cell.config.values if cell.config else cell.reason, cell.evaluate]


def _column(column: Column, keys: list[str], kept: Mapping[str, str]) -> Column:
    """Return a column with a label of its metric if it stands for several, as theirs name the sets that they lose."""
    label = column.label if len(keys) == 1 else column.metric.replace("_", " ").removeprefix("top1 ")
    return replace(column, label=label, relative_to=kept.get(column.relative_to, column.relative_to))


def _claims(table: PaperTable, kept: Mapping[str, str]) -> list[Claim]:
    """Return the claims about the kept columns, each once."""
    claims: dict[str, Claim] = {}
    for claim in table.claims:
        contrasts = tuple(_contrast(claim, weights, kept) for weights in claim.contrasts)
        moved = replace(claim, column=kept[claim.column], contrasts=contrasts)
        claims.setdefault(repr((moved.parts, moved.margin)), moved)
    return list(claims.values())


def _contrast(claim: Claim, weights: Mapping[str, float], kept: Mapping[str, str]) -> dict[str, float]:
    """Return a contrast of the kept columns: numbers of cells that are one now are added."""
    moved: dict[str, float] = {}
    for key, weight in weights.items():
        row, _, column = key.partition("@")
        name = f"{row}@{kept[column or claim.column]}"
        moved[name] = moved.get(name, 0.0) + weight
    return moved


def _notes(table: PaperTable, stands_for: Mapping[str, list[str]]) -> list[Note]:
    return [
        Note(f"One column stands for {listed}: here they are the same runs.")
        for keys in stands_for.values()
        if len(keys) > 1 and (listed := _listed([table.columns[key].label for key in keys]))
    ]


def _listed(labels: list[str]) -> str:
    return f"{', '.join(labels[:-1])} and {labels[-1]}"
