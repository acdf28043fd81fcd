"""Dataclasses as JSON objects: reading checks every value's type, and writing gives the same object again.

A field's annotation says which values it accepts. Supported are `str`, `bool`, `int`, `float`, `Any`, `Literal`,
dataclasses, `dict[str, X]`, `list[X]`, `tuple[X, Y]` and `X | None`. The metadata of a field says more:

- `ALWAYS`: written although it has its default value. Fields without a default are always written.
- `flat()`: a dataclass whose keys are in the object itself, not in an object of their own.
- `prefixed(...)`: the dictionary of all keys that start with one of these prefixes.
- `named(key)`: the key in the file, where it is not the field's name.

Keys that no field knows are kept in the field `unknown`, if there is one, and written back.
"""

import json
import math
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from attnbench.runs.files import damaged

T = TypeVar("T")
ALWAYS = {"always": True}
UNKNOWN = "unknown"
WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a finite number"}


def flat() -> dict[str, Any]:
    """Return the metadata of a dataclass whose keys are in the object itself."""
    return {"flat": True}


def prefixed(*prefixes: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the metadata of a dictionary of all keys with these prefixes; `required` ones must be there, not null."""
    return {"prefixes": prefixes, "required": required}


def named(key: str) -> dict[str, Any]:
    """Return the metadata of a field whose key in the file is not its name."""
    return {"key": key}


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """A JSON object with known keys. unknown: keys of another version, which are kept and written back."""

    unknown: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that reading gives this one from."""
        content = write_object(self)
        return {**content, **self.unknown}


def read_object(kind: type[T], content: Any, where: str, parent: str = "") -> T:
    """Read a dataclass from a JSON object.

    Args:
        kind: the dataclass.
        content: what `json.loads` returned.
        where: the file, and the line if it has several objects, for the error message.
        parent: the key that the object has in the file, with a dot at its end; empty for the file's own object.

    Raises:
        UserError: a key is missing or has a value of the wrong type; one line with file, key and what is expected.
    """
    mapping = _mapping(content, where, parent.removesuffix("."))
    values: dict[str, Any] = {}
    used: set[str] = set()
    for item in _fields(kind):
        if item.name == UNKNOWN:
            continue
        keys = _keys(item, _hints(kind)[item.name], mapping)
        used.update(keys)
        value = _read_field(item, _hints(kind)[item.name], {key: mapping[key] for key in keys}, where, parent)
        if value is not MISSING:
            values[item.name] = value
    if UNKNOWN in _hints(kind):
        values[UNKNOWN] = {key: value for key, value in mapping.items() if key not in used}
    return kind(**values)


def write_object(item: Any) -> dict[str, Any]:
    """Return the JSON object of a dataclass, without the keys that it does not know."""
    content: dict[str, Any] = {}
    for part in _fields(type(item)):
        value = getattr(item, part.name)
        if part.name == UNKNOWN or (_has_default(part) and value == _default(part) and not part.metadata.get("always")):
            continue
        if "prefixes" in part.metadata or part.metadata.get("flat"):
            content |= _plain(value)
        else:
            content[part.metadata.get("key", part.name)] = _plain(value)
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, JsonObject):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return write_object(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _read_field(item: "Field[Any]", hint: Any, present: dict[str, Any], where: str, parent: str) -> Any:
    """Return a field's value, or MISSING where the default holds."""
    key = item.metadata.get("key", item.name)
    if "prefixes" in item.metadata:
        for name in item.metadata["required"]:
            if present.get(name) is None:
                raise damaged(where, f"{parent}{name} is missing")
        return _read_value(hint, present, where, parent, prefixed=True)
    if item.metadata.get("flat"):
        inner = next(part for part in (get_args(hint) or (hint,)) if part is not NoneType)
        return MISSING if not present and _has_default(item) else read_object(inner, present, where, parent)
    if key in present:
        return _read_value(hint, present[key], where, parent + key)
    if not _has_default(item):
        raise damaged(where, f"{parent}{key} is missing")
    return MISSING


def _read_value(hint: Any, value: Any, where: str, key: str, prefixed: bool = False) -> Any:
    """Return a value of the type that a hint names. Raises `UserError` for any other."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        (inner,) = (part for part in arguments if part is not NoneType)
        infinite = isinstance(value, float) and not math.isfinite(value)  # as an earlier version wrote it
        return None if value is None or infinite else _read_value(inner, value, where, key)
    if origin is Literal:
        if value not in arguments:
            raise _wrong(where, key, f"one of {', '.join(map(str, arguments))}", value)
        return value
    if origin is dict:
        dot = "" if prefixed or not key else "."
        found = _mapping(value, where, key)
        return {name: _read_value(arguments[1], part, where, f"{key}{dot}{name}") for name, part in found.items()}
    if origin in (list, tuple):
        return _read_sequence(origin, arguments, value, where, key)
    if is_dataclass(hint) and isinstance(hint, type):
        return read_object(hint, value, where, f"{key}.")
    return _read_plain(hint, value, where, key)


def _read_sequence(origin: Any, arguments: tuple[Any, ...], value: Any, where: str, key: str) -> Any:
    if not isinstance(value, list) or (origin is tuple and len(value) != len(arguments)):
        raise _wrong(where, key, "a list" + (f" of {len(arguments)} values" if origin is tuple else ""), value)
    hints = arguments if origin is tuple else arguments * len(value)
    parts = (_read_value(*pair, where, f"{key}[{n}]") for n, pair in enumerate(zip(hints, value, strict=True)))
    return origin(parts)


def _read_plain(kind: Any, value: Any, where: str, key: str) -> Any:
    accepted = (int, float) if kind is float else (kind,)
    if type(value) not in accepted:  # True is an int for isinstance
        raise _wrong(where, key, WORDS[kind], value)
    try:
        if kind is float and not math.isfinite(float(value)):
            raise _wrong(where, key, WORDS[kind], value)
    except OverflowError:
        raise _wrong(where, key, WORDS[kind], "a number of too many digits") from None
    return float(value) if kind is float else value


def _mapping(value: Any, where: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise (
            _wrong(where, key, "a JSON object", value) if key else damaged(where, f"{_shown(value)} is no JSON object")
        )
    return value


def _wrong(where: str, key: str, expected: str, value: Any) -> Exception:
    return damaged(where, f"{key} must be {expected}, and is {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value in a few characters of ASCII."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _keys(item: "Field[Any]", hint: Any, mapping: Mapping[str, Any]) -> list[str]:
    """Return the keys of an object that belong to a field."""
    if "prefixes" in item.metadata:
        return [key for key in mapping if key.startswith(item.metadata["prefixes"])]
    if item.metadata.get("flat"):
        inner = next(part for part in (get_args(hint) or (hint,)) if part is not NoneType)
        return [part.name for part in fields(inner) if part.name in mapping and part.name != UNKNOWN]
    key = item.metadata.get("key", item.name)
    return [key] if key in mapping else []


def _has_default(item: "Field[Any]") -> bool:
    return item.default is not MISSING or item.default_factory is not MISSING


def _default(item: "Field[Any]") -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _fields(kind: Hashable) -> tuple["Field[Any]", ...]:
    return fields(cast(Any, kind))
