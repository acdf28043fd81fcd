"""Nodes of a table's YAML file: read and checked, every mistake is a `TableFileError`."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from attnbench.errors import nearest, spelled


class TableFileError(Exception):
    """A table's file has a mistake; the message says what and where."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a file's content. Raises `TableFileError` unless it is a mapping, whose keys are words."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise TableFileError("it is not text in UTF-8") from None
    except yaml.YAMLError as error:
        raise TableFileError("YAML: " + " ".join(str(error).split())) from None
    if not isinstance(content, dict):
        raise TableFileError("must be a mapping of keys to values")
    _require_words(content)
    return content


def _require_words(node: Any, where: str = "") -> None:
    """Raise `TableFileError` for a key that YAML reads as no string, such as `off`, `no`, `null` or `1`."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        if isinstance(node, dict) and not isinstance(key, str):
            place = where or "the table"
            raise TableFileError(f"{place}: YAML reads a key as {spelled(key)}, which is no word: write it in quotes")
        _require_words(child, f"{where}.{key}".lstrip("."))


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


def finite_number(node: Any, where: str) -> float:
    """Return a node that is a finite number. Raises `TableFileError` for anything else."""
    if isinstance(node, bool) or not isinstance(node, int | float) or not math.isfinite(node):
        raise TableFileError(f"{where}: {node}: must be a number")
    return float(node)


def positive_or_none(node: Any, where: str) -> float | None:
    """Return a node that is a number above 0, or None for a missing one. Raises `TableFileError` for anything else."""
    if node is not None and finite_number(node, where) <= 0:
        raise TableFileError(f"{where}: {node}: must be above 0")
    return None if node is None else float(node)
