"""Types of keys, and what config files declare of keys beside their defaults, under the node `_keys_`.

    width: auto
    root: data
    label_noise: 0.0
    _keys_:
      width: auto | int               # accepted types: int float bool str null list[…], or words taken literally
      root: {identity: false}         # does not change a run's result
      label_noise: {neutral: 0.0}     # added later: not part of an identity while it holds this value

A default of `null`, `auto` or `[]` has no type to go by, so such a key must declare what it accepts.

Another declaration, `_off_`, says how a choice is switched off (`attnbench.config.switched_off`).
"""

import math
import sys
from dataclasses import dataclass
from typing import Any

from attnbench.errors import UserError, nearest, spelled

NODE = "_keys_"
OFF = "_off_"
DECLARATIONS = (NODE, OFF)
"""Nodes of a config file that are not part of a run's configuration."""
ABSENT: Any = object()
LARGEST = 2**63
"""Whole numbers are below: tensors and arrays count with 64 bits."""


@dataclass(frozen=True)
class Declaration:
    """Declaration of one key in a config file.

    Attributes:
        accepts: the accepted types and literal values; empty where the default's type is the only one.
        identity: whether the value changes a run's result.
        neutral: the value at which the key is left out of a run's identity; `ABSENT` if there is none.
    """

    accepts: tuple[str, ...] = ()
    identity: bool = True
    neutral: Any = ABSENT


class ConfigTypeError(Exception):
    """A value is not of an accepted type; the message lists those."""


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries by dotted key, without declarations. Lists are leaves."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if name in DECLARATIONS:
            continue
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            leaves.update(flatten(value, f"{key}."))
        elif not isinstance(value, dict):
            leaves[key] = value
    return leaves


def without_declarations(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of nested dictionaries without the nodes of `DECLARATIONS`."""
    return {
        name: without_declarations(value) if isinstance(value, dict) else value
        for name, value in tree.items()
        if name not in DECLARATIONS
    }


def declarations(tree: dict[str, Any], prefix: str = "") -> dict[str, Declaration]:
    """Return all declarations in nested dictionaries, by dotted key."""
    found: dict[str, Declaration] = {}
    for name, value in tree.items():
        if name == NODE:
            found.update({f"{prefix}{key}": _declaration(f"{prefix}{key}", node) for key, node in value.items()})
        elif isinstance(value, dict):
            found.update(declarations(value, f"{prefix}{name}."))
    return found


def _declaration(key: str, node: Any) -> Declaration:
    fields = node if isinstance(node, dict) else {"type": node}
    unknown = set(fields) - {"type", "identity", "neutral"}
    if unknown:
        raise UserError(f"{NODE} of {key}: {', '.join(sorted(unknown))}: not one of type, identity, neutral")
    words = str(fields["type"]).split("|") if "type" in fields else ()
    return Declaration(
        tuple(word.strip() for word in words), fields.get("identity", True), fields.get("neutral", ABSENT)
    )


def accepted_types(key: str, default: Any, declared: Declaration | None) -> tuple[str, ...]:
    """Return the types and literal values that a key accepts: those declared, else its default's type.

    Raises:
        UserError: nothing is declared, and the default has no type to go by.
    """
    if declared is not None and declared.accepts:
        return declared.accepts
    word = _type_of(default)
    if word is None:
        raise UserError(f"{key}: its default {spelled(default)} has no type; declare it under {NODE} in the same file")
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
    """Convert a value to an accepted type, so that 1 and 1.0 become the same number.

    Returns:
        The value itself if its type is accepted, else its equal of the first accepted type that has one.

    Raises:
        ConfigTypeError: no accepted type holds the value.
    """
    fitting = [result for word in accepts if (result := _as(word, value)) is not ABSENT]
    if fitting:
        return next((result for result in fitting if repr(result) == repr(value)), fitting[0])
    if problem := _range_problem(value):
        raise ConfigTypeError(problem)
    literals = [word for word in accepts if word not in DESCRIPTIONS]
    hint = nearest(value, literals) if isinstance(value, str) else ""
    raise ConfigTypeError(f"must be {_listed(accepts)}{hint}")


def _as(word: str, value: Any) -> Any:
    """Return a value as a type, or `ABSENT` if the type does not hold it."""
    if word.startswith("list["):
        elements = [_as(word[5:-1], element) for element in value] if isinstance(value, list) else [ABSENT]
        return ABSENT if ABSENT in elements else elements
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and value == value // 1
    converted = {
        "int": lambda: int(value) if whole and abs(value) < LARGEST else ABSENT,
        "float": lambda: _float(value) if number else ABSENT,
        "bool": lambda: value if isinstance(value, bool) else ABSENT,
        "str": lambda: str(value) if isinstance(value, str) or (number and isinstance(value, int)) else ABSENT,
        "null": lambda: None if value is None else ABSENT,
    }
    literal = value if isinstance(value, str) and value == word else ABSENT
    return converted.get(word, lambda: literal)()


def _float(value: float) -> Any:
    """Return a number as a float, or `ABSENT` if no finite one holds it: a run needs numbers that JSON can keep."""
    return float(value) if abs(value) <= sys.float_info.max else ABSENT


def _range_problem(value: Any) -> str:
    """Return what is wrong with a number, or with one in a list, that no run can use; empty if nothing is."""
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            return "must be finite"
        if isinstance(number, int | float) and abs(number) >= LARGEST:
            return "must be below 2^63"
    return ""


DESCRIPTIONS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "null": "null",
    "list[int]": "a list of whole numbers",
    "list[float]": "a list of numbers",
    "list[str]": "a list of texts",
}


def _listed(accepts: tuple[str, ...]) -> str:
    words = [DESCRIPTIONS.get(word, word) for word in accepts]
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])}{',' if ' or ' in words[-1] else ' or'} {words[-1]}"
