"""A table's YAML file as a `PaperTable`; every mistake in it is a `TableFileError` that says where it is."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from attnbench.errors import nearest
from attnbench.runs.evaluation_entry import INITIAL
from attnbench.tables.spec import BY_SECTION, COSTS, METRICS, Claim, Column, PaperTable, Row, parse_number


class TableFileError(Exception):
    """A table's file has a mistake; the message says what and where."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a file's content. Raises `TableFileError` unless it is a mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TableFileError("YAML: " + " ".join(str(error).split())) from None
    if not isinstance(content, dict):
        raise TableFileError("must be a mapping of keys to values")
    return content


def parse_table(name: str, content: dict[str, Any]) -> PaperTable:
    """Make a table from the content of its file. Raises `TableFileError`."""
    require_keys(content, ("title", "source", "columns", "rows"), "the table")
    columns = {key: _column(key, node) for key, node in content.pop("columns").items()}
    rows = {key: _row(key, node, columns) for key, node in content.pop("rows").items()}
    claims = tuple(_claim(node, rows, columns) for node in content.pop("claims", ()))
    profiles = {key: string_list(lines, f"profiles.{key}") for key, lines in content.pop("profiles", {}).items()}
    lists = {key: strings_of(content, key) for key in ("overrides", "notes")}
    parts = {"columns": columns, "rows": rows, "claims": claims, "profiles": profiles}
    table: PaperTable = make(PaperTable, "the table", {**content, **lists}, name, **parts)
    if table.baseline and table.baseline not in {*rows, BY_SECTION}:
        raise TableFileError(f"baseline: {table.baseline}: no such row")
    for column in columns.values():
        if column.relative_to and column.relative_to not in columns:
            raise TableFileError(f"columns.{column.key}.relative_to: {column.relative_to}: no such column")
    return table


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
    row: Row = make(Row, f"rows.{key}", {**node, **lists}, key, printed=printed)
    return row


def _claim(node: Any, rows: Mapping[str, Row], columns: Mapping[str, Column]) -> Claim:
    require_keys(node, ("says", "pairs"), "claims")
    pairs = tuple(tuple(pair) for pair in node.pop("pairs"))
    if wrong := [list(pair) for pair in pairs if len(pair) != 2 or not all(isinstance(key, str) for key in pair)]:
        raise TableFileError(f"claims: pairs: {wrong}: must be pairs of rows")
    if unknown := {key for pair in pairs for key in pair} - set(rows):
        raise TableFileError(f"claims: {', '.join(sorted(unknown))}: no such row")
    column = node.pop("column", next(iter(columns)))
    if column not in columns:
        raise TableFileError(f"claims: {column}: no such column")
    claim: Claim = make(Claim, "claims", node, pairs=pairs, column=column)
    return claim


def require_keys(node: Any, keys: tuple[str, ...], where: str) -> None:
    """Raise `TableFileError` unless a node is a mapping with all of the keys."""
    if not isinstance(node, dict):
        raise TableFileError(f"{where}: must be a mapping of keys to values")
    if missing := [key for key in keys if key not in node]:
        raise TableFileError(f"{where}: lacks {', '.join(missing)}")


def strings_of(node: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the list of strings under a key; empty if there is none."""
    return string_list(node.get(key, ()), key)


def string_list(node: Any, where: str) -> tuple[str, ...]:
    """Return a node that is a list of strings. Raises `TableFileError` for anything else."""
    if not isinstance(node, list | tuple) or not all(isinstance(text, str) for text in node):
        raise TableFileError(f"{where}: must be a list of strings")
    return tuple(node)


def check_keys(kind: Any, where: str, node: Mapping[str, Any]) -> None:
    """Raise `TableFileError` for a key that is not a field of the dataclass."""
    names = [field.name for field in fields(kind)]
    for key in node:
        if key not in names:
            raise TableFileError(f"{where}: {key}: no such key{nearest(key, names)}")


def make(kind: Any, where: str, node: Mapping[str, Any], *arguments: Any, **known: Any) -> Any:
    """Make a dataclass from a node of the file. Raises `TableFileError` for keys that it does not have."""
    check_keys(kind, where, node)
    return kind(*arguments, **node, **known)
