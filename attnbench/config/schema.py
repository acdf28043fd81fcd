"""What a config file declares about its keys beside their defaults: the `_keys_` node.

    width: auto
    root: data
    label_noise: 0.0
    _keys_:
      width: auto | int               # accepted types: int float bool str null list[…], or words taken literally
      root: {identity: false}         # does not change a run's result
      label_noise: {neutral: 0.0}     # added later: not part of an identity while it holds this value

A default of `null`, `auto` or `[]` tells no type, so such a key must declare what it accepts.
"""

from dataclasses import dataclass
from typing import Any

from attnbench.errors import UserError, nearest

NODE = "_keys_"
ABSENT: Any = object()


@dataclass(frozen=True)
class Key:
    """One key's declaration. accepts: type words, empty if the default tells the type."""

    accepts: tuple[str, ...] = ()
    identity: bool = True
    neutral: Any = ABSENT


class ConfigTypeError(Exception):
    """A value is not of the accepted type; the message says what would be."""


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of nested dictionaries by dotted key; lists are leaves, declarations are left out."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if name == NODE:
            continue
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            leaves.update(flatten(value, f"{key}."))
        elif not isinstance(value, dict):
            leaves[key] = value
    return leaves


def strip(tree: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested dictionaries without declarations."""
    return {name: strip(value) if isinstance(value, dict) else value for name, value in tree.items() if name != NODE}


def declarations(tree: dict[str, Any], prefix: str = "") -> dict[str, Key]:
    """All declarations in nested dictionaries, by dotted key."""
    found: dict[str, Key] = {}
    for name, value in tree.items():
        if name == NODE:
            found.update({f"{prefix}{key}": _declaration(f"{prefix}{key}", node) for key, node in value.items()})
        elif isinstance(value, dict):
            found.update(declarations(value, f"{prefix}{name}."))
    return found


def _declaration(key: str, node: Any) -> Key:
    fields = node if isinstance(node, dict) else {"type": node}
    unknown = set(fields) - {"type", "identity", "neutral"}
    if unknown:
        raise UserError(f"{NODE} of {key}: {', '.join(sorted(unknown))}: not one of type, identity, neutral")
    words = str(fields["type"]).split("|") if "type" in fields else ()
    return Key(tuple(word.strip() for word in words), fields.get("identity", True), fields.get("neutral", ABSENT))


def accepted(key: str, default: Any, declared: Key | None) -> tuple[str, ...]:
    """Type words that `key` accepts, declared or told by its default. Raises `UserError` if neither tells."""
    if declared is not None and declared.accepts:
        return declared.accepts
    word = _type_of(default)
    if word is None:
        raise UserError(f"{key}: its default {_show(default)} tells no type; declare it under {NODE} in the same file")
    return (word,)


def _type_of(default: Any) -> str | None:
    if default is None or default in ("auto", []):
        return None
    if isinstance(default, list):
        words = {_type_of(element) for element in default}
        if words == {"int", "float"}:
            return "list[float]"
        return f"list[{words.pop()}]" if len(words) == 1 and None not in words else None
    for kind in (bool, int, float, str):
        if isinstance(default, kind):
            return kind.__name__
    return None


def convert(value: Any, accepts: tuple[str, ...]) -> Any:
    """`value` as it is if its type is accepted, else as the first accepted type that holds it, so that 1 and 1.0
    become the same number. Raises `ConfigTypeError` if none does.
    """
    fitting = [result for word in accepts if (result := _as(word, value)) is not ABSENT]
    if fitting:
        return next((result for result in fitting if repr(result) == repr(value)), fitting[0])
    literals = [word for word in accepts if word not in ARTICLES]
    hint = nearest(value, literals) if isinstance(value, str) else ""
    raise ConfigTypeError(f"must be {_sentence(accepts)}{hint}")


def _as(word: str, value: Any) -> Any:
    """`value` as type `word`, or `ABSENT`."""
    if word.startswith("list["):
        elements = [_as(word[5:-1], element) for element in value] if isinstance(value, list) else [ABSENT]
        return ABSENT if ABSENT in elements else elements
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and value == value // 1
    converted = {
        "int": lambda: int(value) if whole else ABSENT,
        "float": lambda: float(value) if number else ABSENT,
        "bool": lambda: value if isinstance(value, bool) else ABSENT,
        "str": lambda: str(value) if isinstance(value, str) or (number and isinstance(value, int)) else ABSENT,
        "null": lambda: None if value is None else ABSENT,
    }
    literal = value if isinstance(value, str) and value == word else ABSENT
    return converted.get(word, lambda: literal)()


ARTICLES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "null": "null",
    "list[int]": "a list of whole numbers",
    "list[float]": "a list of numbers",
    "list[str]": "a list of texts",
}


def _sentence(accepts: tuple[str, ...]) -> str:
    words = [ARTICLES.get(word, word) for word in accepts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _show(value: Any) -> str:
    return "null" if value is None else str(value)
