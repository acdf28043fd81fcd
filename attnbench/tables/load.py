"""Reading tables and profiles from `configs/paper`: every mistake in a file is one line that says where."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from attnbench.config.search_path import describe, search_path
from attnbench.errors import UserError, nearest
from attnbench.tables.spec import BY_SECTION, COSTS, METRICS, Claim, Column, PaperTable, Profile, Row, as_number

FOLDER = "paper"


def table_files(config_dir: str | None = None) -> dict[str, Path]:
    """Files of all tables by name, those of other packages and of `--config-dir` included."""
    found: dict[str, Path] = {}
    for folder in search_path(config_dir):
        for path in sorted((folder / FOLDER).glob("*/*.yaml")):
            found.setdefault(f"{path.parent.name}/{path.stem}", path)
    return found


def hint(name: str, tables: Sequence[str]) -> str:
    """`; did you mean …?`: the tables of the paper that is named, else the nearest table."""
    of_paper = [table for table in tables if table.partition("/")[0] == name.rstrip("/")]
    return f"; did you mean {' or '.join(of_paper)}?" if of_paper else nearest(name, tables)


def load_table(name: str, config_dir: str | None = None) -> PaperTable:
    """Read a table. Raises `UserError` if there is none of this name, or its file is wrong."""
    files = table_files(config_dir)
    if name not in files:
        raise UserError(f"{name}: no such table{hint(name, list(files))}; attnbench list paper names them")
    try:
        return _table(name, read_yaml(files[name]))
    except TableFileError as error:
        raise UserError(f"{files[name]}: {error}") from None


def descriptions(config_dir: str | None = None) -> dict[str, str]:
    """The first line of every table's file."""
    return {name: describe(path) for name, path in table_files(config_dir).items()}


def load_profiles(table: PaperTable, config_dir: str | None = None) -> dict[str, Profile]:
    """The profiles under which a table can be run. What another package or `--config-dir` says of a profile goes before
    what attnbench says; stand-ins are added to. Raises `UserError`.
    """
    nodes: dict[str, dict[str, Any]] = {}
    for folder in search_path(config_dir):
        path = folder / FOLDER / "profiles.yaml"
        if path.is_file():
            try:
                for name, node in read_yaml(path).items():
                    nodes[name] = _profile({**nodes.get(name, {}), "name": name}, node)
            except TableFileError as error:
                raise UserError(f"{path}: {error}") from None
    own = table.profiles or {}
    if strange := set(own) - set(nodes):
        raise UserError(f"{table.name}: profiles: {', '.join(strange)}: no such profile (there are {', '.join(nodes)})")
    return {
        name: Profile(**{**node, "overrides": (*node["overrides"], *own.get(name, ()))}) for name, node in nodes.items()
    }


def _profile(known: dict[str, Any], node: Any) -> dict[str, Any]:
    """A profile's fields: those that are known, under what a file says. Raises `TableFileError`."""
    where = known["name"]
    required(node, ("says",) if "says" not in known else (), where)
    names = [field.name for field in fields(Profile)]
    for key in node:
        if key not in names:
            raise TableFileError(f"{where}: {key}: no such key{nearest(key, names)}")
    own = {choice: _strings(lines, f"{where}.siblings.{choice}") for choice, lines in node.get("siblings", {}).items()}
    overrides = words(node, "overrides") if "overrides" in node else known.get("overrides", ())
    siblings = {**known.get("siblings", {}), **own}
    return {
        **known,
        **node,
        "overrides": overrides,
        "siblings": siblings,
        "says": str(node.get("says", known.get("says"))),
    }


class TableFileError(Exception):
    """A table's file says something that makes no sense; the message says what and where."""


def read_yaml(path: Path) -> dict[str, Any]:
    """A file's content. Raises `TableFileError` for what is no mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TableFileError("YAML: " + " ".join(str(error).split())) from None
    if not isinstance(content, dict):
        raise TableFileError("is no mapping of keys to values")
    return content


def _table(name: str, content: dict[str, Any]) -> PaperTable:
    required(content, ("title", "source", "columns", "rows"), "the table")
    columns = {key: _column(key, node) for key, node in content.pop("columns").items()}
    rows = {key: _row(key, node, columns) for key, node in content.pop("rows").items()}
    claims = tuple(_claim(node, rows, columns) for node in content.pop("claims", ()))
    own = {key: _strings(lines, f"profiles.{key}") for key, lines in content.pop("profiles", {}).items()}
    lists = {key: words(content, key) for key in ("overrides", "notes")}
    made = take(
        PaperTable, "the table", {**content, **lists}, name, columns=columns, rows=rows, claims=claims, profiles=own
    )
    if made.baseline and made.baseline not in {*rows, BY_SECTION}:
        raise TableFileError(f"baseline: {made.baseline}: no such row")
    for column in columns.values():
        if column.relative_to and column.relative_to not in columns:
            raise TableFileError(f"columns.{column.key}.relative_to: {column.relative_to}: no such column")
    return made


def _column(key: str, node: Any) -> Column:
    required(node, ("label", "metric"), f"columns.{key}")
    if node["metric"] not in METRICS:
        raise TableFileError(f"columns.{key}.metric: {node['metric']}: not one of {', '.join(METRICS)}")
    lists = {name: words(node, name) for name in ("overrides", "evaluate")}
    made: Column = take(Column, f"columns.{key}", {**node, **lists}, key)
    return made


def _row(key: str, node: Any, columns: Mapping[str, Column]) -> Row:
    required(node, ("label",), f"rows.{key}")
    printed = {name: node.pop(name) for name in (*columns, *COSTS) if name in node}
    for name, number in printed.items():
        if not isinstance(number, str):
            raise TableFileError(f"rows.{key}.{name}: {number}: put it in quotes, as its digits tell its precision")
        try:
            as_number(number)
        except ValueError:
            raise TableFileError(f"rows.{key}.{name}: {number}: not a number") from None
    lists = {name: words(node, name) for name in ("overrides", "evaluate", "unverified")}
    if strange := set(lists["unverified"]) - set(printed):
        raise TableFileError(f"rows.{key}.unverified: {', '.join(sorted(strange))}: not printed")
    made: Row = take(Row, f"rows.{key}", {**node, **lists}, key, printed=printed)
    return made


def _claim(node: Any, rows: Mapping[str, Row], columns: Mapping[str, Column]) -> Claim:
    required(node, ("says", "pairs"), "claims")
    pairs = tuple(tuple(pair) for pair in node.pop("pairs"))
    if wrong := [list(pair) for pair in pairs if len(pair) != 2 or not all(isinstance(key, str) for key in pair)]:
        raise TableFileError(f"claims: pairs: {wrong}: must be pairs of rows")
    if strange := {key for pair in pairs for key in pair} - set(rows):
        raise TableFileError(f"claims: {', '.join(sorted(strange))}: no such row")
    column = node.pop("column", next(iter(columns)))
    if column not in columns:
        raise TableFileError(f"claims: {column}: no such column")
    made: Claim = take(Claim, "claims", node, pairs=pairs, column=column)
    return made


def required(node: Any, keys: tuple[str, ...], where: str) -> None:
    """Raise `TableFileError` unless a node is a mapping that has all of the keys."""
    if not isinstance(node, dict):
        raise TableFileError(f"{where}: is no mapping of keys to values")
    if missing := [key for key in keys if key not in node]:
        raise TableFileError(f"{where}: lacks {', '.join(missing)}")


def words(node: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of strings below a key; empty if it is not there."""
    return _strings(node.get(key, ()), key)


def _strings(node: Any, where: str) -> tuple[str, ...]:
    if not isinstance(node, list | tuple) or not all(isinstance(text, str) for text in node):
        raise TableFileError(f"{where}: must be a list of strings")
    return tuple(node)


def take(kind: Any, where: str, node: Mapping[str, Any], *arguments: Any, **known: Any) -> Any:
    """An object of what a node says. Raises `TableFileError` for keys that it does not have."""
    names = [field.name for field in fields(kind)]
    for key in node:
        if key not in names:
            raise TableFileError(f"{where}: {key}: no such key{nearest(key, names)}")
    return kind(*arguments, **node, **known)
