"""A table's YAML file as a `PaperTable`; every mistake in it is a `TableFileError` that says where it is."""

from collections.abc import Mapping
from typing import Any

from attnbench.runs.evaluation_entry import INITIAL
from attnbench.tables.columns import HIDDEN
from attnbench.tables.spec.notes import parse_note, parse_notes
from attnbench.tables.spec.parse_claims import parse_claim
from attnbench.tables.spec.table import (
    BY_SECTION,
    COSTS,
    METRICS,
    PICTURES,
    Column,
    PaperTable,
    ProfileChanges,
    Row,
    parse_number,
)
from attnbench.tables.spec.yaml_nodes import (
    TableFileError,
    make,
    positive_or_none,
    require_keys,
    string_list,
    strings_of,
)


def parse_table(name: str, content: dict[str, Any]) -> PaperTable:
    """Make a table from the content of its file. Raises `TableFileError`."""
    require_keys(content, ("title", "source", "columns", "rows"), "the table")
    columns = {key: _column(key, node) for key, node in content.pop("columns").items()}
    rows = {key: _row(key, node, columns) for key, node in content.pop("rows").items()}
    margin = positive_or_none(content.pop("margin", None), "margin")
    claims = tuple(parse_claim(node, rows, columns, margin) for node in content.pop("claims", ()))
    profiles = {key: _changes(f"profiles.{key}", node) for key, node in content.pop("profiles", {}).items()}
    if "least_over_chance" in content:
        content["least_over_chance"] = positive_or_none(content["least_over_chance"], "least_over_chance")
    notes = parse_notes(content.pop("notes", ()))
    lists = {"overrides": strings_of(content, "overrides"), "shows": strings_of(content, "shows"), "notes": notes}
    parts = {"columns": columns, "rows": rows, "claims": claims, "profiles": profiles, "margin": margin}
    table: PaperTable = make(PaperTable, "the table", {**content, **lists}, name, **parts)
    if table.figure not in PICTURES:
        raise TableFileError(f"figure: {table.figure}: not one of {', '.join(filter(None, PICTURES))}")
    if unknown := set(table.shows) - set(HIDDEN):
        raise TableFileError(f"shows: {', '.join(sorted(unknown))}: not one of {', '.join(HIDDEN)}")
    if table.baseline and table.baseline not in {*rows, BY_SECTION}:
        raise TableFileError(f"baseline: {table.baseline}: no such row")
    for column in columns.values():
        if column.relative_to and column.relative_to not in columns:
            raise TableFileError(f"columns.{column.key}.relative_to: {column.relative_to}: no such column")
    return table


def _changes(where: str, node: Any) -> ProfileChanges:
    """Make what a table changes of a profile from a list of overrides, or from a mapping that also has siblings."""
    if not isinstance(node, dict):
        return ProfileChanges(string_list(node, where))
    siblings = parse_siblings(where, node.get("siblings", {}))
    overrides = string_list(node.get("overrides", ()), f"{where}.overrides")
    changes: ProfileChanges = make(ProfileChanges, where, {**node, "overrides": overrides, "siblings": siblings})
    return changes


def parse_siblings(where: str, node: Any) -> dict[str, tuple[str, ...]]:
    """Return the overrides that replace choices of backbone, by choice. Raises `TableFileError`."""
    if not isinstance(node, dict):
        raise TableFileError(f"{where}.siblings: must be a mapping of backbones to overrides")
    return {choice: string_list(lines, f"{where}.siblings.{choice}") for choice, lines in node.items()}


def _column(key: str, node: Any) -> Column:
    require_keys(node, ("label", "metric"), f"columns.{key}")
    if node["metric"] not in METRICS:
        raise TableFileError(f"columns.{key}.metric: {node['metric']}: not one of {', '.join(METRICS)}")
    if node.get("epoch") and (node["epoch"], node["metric"]) != (INITIAL, "response"):
        raise TableFileError(f"columns.{key}.epoch: {node['epoch']}: must be {INITIAL}, of the metric response")
    lists = {name: strings_of(node, name) for name in ("overrides", "evaluate")}
    column: Column = make(Column, f"columns.{key}", {**node, **lists}, key)
    return column


def _row(key: str, node: Any, columns: Mapping[str, Column]) -> Row:
    require_keys(node, ("label",), f"rows.{key}")
    printed = {name: node.pop(name) for name in (*columns, *COSTS) if name in node}
    for name, number in printed.items():
        if not isinstance(number, str):
            raise TableFileError(
                f"rows.{key}.{name}: {number}: put it in quotes, because its digits show its precision"
            )
        try:
            parse_number(number)
        except ValueError:
            raise TableFileError(f"rows.{key}.{name}: {number}: not a number") from None
    lists = {name: strings_of(node, name) for name in ("overrides", "evaluate", "unverified")}
    if unknown := set(lists["unverified"]) - set(printed):
        raise TableFileError(f"rows.{key}.unverified: {', '.join(sorted(unknown))}: not printed")
    note = parse_note(node.pop("note", ""), f"rows.{key}.note")
    row: Row = make(Row, f"rows.{key}", {**node, **lists, "note": note}, key, printed=printed)
    return row
