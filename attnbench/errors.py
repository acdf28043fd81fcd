"""The two kinds of mistakes that are the user's: they end in one line and exit status 2, never in a traceback."""

from typing import Any


class UserError(Exception):
    """What the user typed, wrote or lacks is wrong. The message says what, where, and what would be right."""


class NotInstalledError(UserError):
    """A package that an extra brings is needed and missing."""


class OptionError(ValueError):
    """An option of a model, data set or recipe has a value that makes no sense.

    Constructors raise it with the option's bare name; whoever built the object from a configuration knows the
    group and turns it into a `UserError` that names the whole key (`attention.reduction`).
    """

    def __init__(self, key: str, value: Any, expected: str) -> None:
        super().__init__(f"{key}={value}: {expected}")
        self.key = key
        self.value = value
        self.expected = expected


def require(condition: bool, key: str, value: Any, expected: str) -> None:
    """Raise `OptionError` unless `condition` holds."""
    if not condition:
        raise OptionError(key, value, expected)


def require_choice(key: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise `OptionError` unless `value` is one of `choices`."""
    require(value in choices, key, value, "must be one of " + ", ".join(map(str, choices)))
