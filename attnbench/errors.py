"""Mistakes that are the user's: they end in one line and exit status 2, never in a traceback.

Also the checks that raise them, and the hint at the name that was probably meant.
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args


class UserError(Exception):
    """Something that the user typed, wrote or does not have is wrong.

    The message says what is wrong, where, and what would be right.
    """


class RunError(UserError):
    """A trained run cannot be used as it is, which says nothing of other runs."""


class NotInstalledError(UserError):
    """An optional package is needed and not installed; the message names the extra that brings it."""


def spelled(value: Any) -> str:
    """Return a value as it is written in a config file or an override: `null`, `true`, `[1, null]`.

    A text that would be another value without quotes has them: `'5'`.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{spelled(key)}: {spelled(each)}' for key, each in value.items())}}}"
    return f"'{value}'" if isinstance(value, str) and _needs_quotes(value) else str(value)


def _needs_quotes(text: str) -> bool:
    """Return whether a text without quotes would be a number, `true`, `false` or `null`."""
    if text.lower() in ("null", "true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


class OptionError(ValueError):
    """An option of a model, data set or recipe has an invalid value.

    Constructors raise it with the option's bare name. Code that builds an object from a configuration knows the config
    group and turns it into a `UserError` that names the whole key (`attention.reduction`).

    Args:
        key: The option's name, as the constructor spells it.
        value: The rejected value.
        expected: What would be right, such as "must be at least 1".
    """

    def __init__(self, key: str, value: Any, expected: str) -> None:
        super().__init__(f"{key}={spelled(value)}: {expected}")
        self.key = key
        self.value = value
        self.expected = expected


def require(condition: bool, key: str, value: Any, expected: str) -> None:
    """Raise `OptionError` unless `condition` holds."""
    if not condition:
        raise OptionError(key, value, expected)


def require_choice(key: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise `OptionError` unless `value` is one of `choices`."""
    require(value in choices, key, value, "must be one of " + ", ".join(map(spelled, choices)))


def require_literal(key: str, value: Any, literal: Any) -> None:
    """Raise `OptionError` unless `value` is one of the values of a `Literal` type.

    The type also annotates the constructor's parameter, so the allowed values are written once:

        Gate = Literal["sigmoid", "tanh"]

        def __init__(self, gate: Gate = "sigmoid") -> None:
            require_literal("gate", gate, Gate)
    """
    require_choice(key, value, get_args(literal))


def require_ending(to: Path | None, form: str, ending: str, others: Collection[str]) -> None:
    """Raise `UserError` if a file has the ending of another format than the one that was named.

    Args:
        to: the value of `--to`.
        form: the name of the format.
        ending: of its files.
        others: endings of all formats; any other one may be given to a file.
    """
    if to is not None and to.suffix != ending and to.suffix in others:
        raise UserError(f"--to {to}: this is the ending of another format; that of {form} is {ending}")


def nearest(name: str, names: Sequence[str]) -> str:
    """Return `; did you mean X?` with the closest of `names`, or an empty string if none is close."""
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
