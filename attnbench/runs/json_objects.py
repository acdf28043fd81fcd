"""Dataclasses as JSON objects: reading checks every value's type, and writing gives the same object again.

A field's annotation says which values it accepts. Supported are `str`, `bool`, `int`, `float`, `Any`, `Literal`,
dataclasses, `dict[str, X]`, `list[X]`, `tuple[X, Y]` and `X | None`. The metadata of a field says more:

- `ALWAYS`: written although it has its default value. Fields without a default are always written.
- `flat()`: a dataclass whose keys are in the object itself, not in an object of their own.
- `prefixed(...)`: the dictionary of all keys that start with one of these prefixes.
- `named(key)`: the key in the file, where it is not the field's name.
- `LOCAL`: not in the file; its value means something on this machine only.
- `between(...)`: the smallest and the largest number that the field may hold.

Keys that no field knows are kept in the field `unknown`, if there is one, and written back.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from attnbench.runs.files import damaged

T = TypeVar("T")
Metadata = dict[str, Any]
ALWAYS: Metadata = {"always": True}
LOCAL: Metadata = {"local": True}
UNKNOWN = "unknown"
WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a finite number"}


def flat() -> Metadata:
    """Return the metadata of a dataclass whose keys are in the object itself."""
    return {"flat": True}


def prefixed(*prefixes: str, required: tuple[str, ...] = (), one_of: tuple[str, ...] = (), fractions: str) -> Metadata:
    """Return the metadata of a dictionary of all keys with these prefixes.

    Args:
        prefixes: of the keys.
        required: keys that must be there, not null.
        one_of: keys of which one must be there, not null.
        fractions: end of the keys whose values are from 0 to 1.
    """
    return {"prefixes": prefixes, "required": required, "one_of": one_of, "fractions": fractions}


def between(least: float, most: float = math.inf) -> Metadata:
    """Return the metadata of a number that is neither smaller nor larger than these."""
    return {"between": (least, most)}


def named(key: str) -> Metadata:
    """Return the metadata of a field whose key in the file is not its name."""
    return {"key": key}


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """A JSON object with known keys. unknown: keys of another version, which are kept and written back."""

    unknown: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that reading gives this one from."""
        known = write_object(self)
        return {**known, **{key: value for key, value in self.unknown.items() if key not in known}}


class _Item(NamedTuple):
    """A field with its annotation, the class behind `X | None`, and its key in the file."""

    field: "Field[Any]"
    hint: Any
    inner: Any
    key: str

    @property
    def optional(self) -> bool:
        """Whether the field has a default."""
        return self.field.default is not MISSING or self.field.default_factory is not MISSING

    def is_default(self, value: Any) -> bool:
        """Return whether a value is the field's default."""
        if self.field.default_factory is not MISSING:
            return bool(value == self.field.default_factory())
        return self.field.default is not MISSING and bool(value == self.field.default)

    def keys_in(self, content: Mapping[str, Any]) -> list[str]:
        """Return the keys of an object that belong to the field."""
        if "prefixes" in self.field.metadata:
            return [key for key in content if key.startswith(self.field.metadata["prefixes"])]
        if "flat" in self.field.metadata:
            return [item.key for item in _items(self.inner) if item.key in content]
        return [self.key] if self.key in content else []


@cache
def _items(kind: Any) -> tuple[_Item, ...]:
    """Return the fields of a dataclass that are in the file."""
    hints = get_type_hints(kind)
    inner = {name: next((part for part in get_args(hint) if is_dataclass(part)), hint) for name, hint in hints.items()}
    written = [part for part in fields(kind) if part.name != UNKNOWN and "local" not in part.metadata]
    keys = (str(part.metadata.get("key", part.name)) for part in written)
    return tuple(_Item(part, hints[part.name], inner[part.name], key) for part, key in zip(written, keys, strict=True))


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
    for item in _items(cast(Any, kind)):
        present = {key: mapping[key] for key in item.keys_in(mapping)}
        used.update(present)
        value = _read_field(item, present, where, parent)
        if value is not MISSING:
            values[item.field.name] = value
    if isinstance(kind, type) and issubclass(kind, JsonObject):
        values[UNKNOWN] = {key: value for key, value in mapping.items() if key not in used}
    return kind(**values)


def write_object(content: Any) -> dict[str, Any]:
    """Return the JSON object of a dataclass, without the keys that it does not know."""
    written: dict[str, Any] = {}
    for item in _items(cast(Any, type(content))):
        value = getattr(content, item.field.name)
        if item.is_default(value) and "always" not in item.field.metadata:
            continue
        if item.field.metadata.keys() & {"prefixes", "flat"}:
            written |= _plain(value)
        else:
            written[item.key] = _plain(value)
    return written


def _plain(value: Any) -> Any:
    if isinstance(value, JsonObject):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return write_object(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _read_field(item: _Item, present: dict[str, Any], where: str, parent: str) -> Any:
    """Return a field's value from its keys, or MISSING where the default holds."""
    metadata = item.field.metadata
    if "prefixes" in metadata:
        for name in metadata["required"]:
            if present.get(name) is None:
                raise damaged(where, f"{parent}{name} is missing")
        if (names := metadata["one_of"]) and all(present.get(name) is None for name in names):
            raise damaged(where, f"{parent}{' or '.join(names)} is missing")
        values = _read_value(item.hint, present, where, parent)
        for name in values:
            if name.endswith(metadata["fractions"]):
                _check_number((0, 1), values[name], where, f"{parent}{name}")
        return values
    if not present and item.optional:
        return MISSING
    if "flat" in metadata:
        return read_object(item.inner, present, where, parent)
    if not present:
        raise damaged(where, f"{parent}{item.key} is missing")
    value = _read_value(item.hint, present[item.key], where, parent + item.key)
    _check_number(metadata.get("between", (-math.inf, math.inf)), value, where, parent + item.key)
    return value


def _check_number(limits: tuple[float, float], value: Any, where: str, key: str) -> None:
    """Raise `UserError` if a number is beyond its limits."""
    least, most = limits
    if isinstance(value, int | float) and not least <= value <= most:
        raise _wrong(where, key, f"at least {least}" if most == math.inf else f"from {least} to {most}", value)


def _read_value(hint: Any, value: Any, where: str, key: str) -> Any:
    """Return a value of the type that an annotation names. Raises `UserError` for any other."""
    if hint is Any:
        return value
    if reader := READERS.get(_origin(hint)):
        return reader(hint, value, where, key)
    if is_dataclass(hint) and isinstance(hint, type):
        return read_object(hint, value, where, f"{key}.")
    return _read_plain(hint, value, where, key)


@cache
def _origin(hint: Any) -> Any:
    return get_origin(hint)


@cache
def _behind_none(hint: Any) -> Any:
    """Return X of `X | None`."""
    (inner,) = (part for part in get_args(hint) if part is not NoneType)
    return inner


def _read_optional(hint: Any, value: Any, where: str, key: str) -> Any:
    """Return None for null, and for a number that is not finite."""
    missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return None if missing else _read_value(_behind_none(hint), value, where, key)


def _read_choice(hint: Any, value: Any, where: str, key: str) -> Any:
    if value not in get_args(hint):
        raise _wrong(where, key, f"one of {', '.join(map(str, get_args(hint)))}", value)
    return value


def _read_mapping(hint: Any, value: Any, where: str, key: str) -> dict[str, Any]:
    start = f"{key}." if key and not key.endswith(".") else key
    content = _mapping(value, where, key.removesuffix("."))
    inner = get_args(hint)[1]
    return {name: _read_value(inner, part, where, f"{start}{name}") for name, part in content.items()}


def _read_sequence(hint: Any, value: Any, where: str, key: str) -> Any:
    kind, hints = get_origin(hint), get_args(hint)
    if not isinstance(value, list) or (kind is tuple and len(value) != len(hints)):
        raise _wrong(where, key, "a list" + (f" of {len(hints)} values" if kind is tuple else ""), value)
    pairs = zip(hints if kind is tuple else hints * len(value), value, strict=True)
    return kind(_read_value(part, item, where, f"{key}[{number}]") for number, (part, item) in enumerate(pairs))


READERS: dict[Any, Callable[[Any, Any, str, str], Any]] = {
    Union: _read_optional,
    UnionType: _read_optional,
    Literal: _read_choice,
    dict: _read_mapping,
    list: _read_sequence,
    tuple: _read_sequence,
}


def _read_plain(kind: Any, value: Any, where: str, key: str) -> Any:
    accepted = (int, float) if kind is float else (kind,)
    if type(value) not in accepted:  # True is an int for isinstance
        raise _wrong(where, key, WORDS[kind], value)
    try:
        number = float(value) if kind is float else 0.0
    except OverflowError:  # a whole number beyond 1e308
        number = math.inf
    if not math.isfinite(number):
        raise _wrong(where, key, WORDS[kind], value)
    return number if kind is float else value


def _mapping(value: Any, where: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, key, "a JSON object", value) if key else damaged(where, "it is no JSON object")
    return value


def _wrong(where: str, key: str, expected: str, value: Any) -> Exception:
    return damaged(where, f"{key} must be {expected}, and is {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value in a few characters of ASCII."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
