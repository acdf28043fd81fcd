"""Write the value of an override in quotes, for Hydra's grammar and for a shell."""

import json
import shlex
from typing import Any

from hydra.errors import HydraException

from attnbench.config.grammar import read
from attnbench.errors import UserError

SPECIAL_IN_DOUBLE_QUOTES = "$`\\!"


def override(key: str, value: Any) -> str:
    """Return an override, as typed in a shell, with exactly this value; quotes are added where it needs them.

    Raises:
        UserError: Hydra's grammar cannot express the value.
    """
    text = f"{key}={value if isinstance(value, str) else json.dumps(value)}"
    if _means(text, value):
        return shlex.quote(text)
    in_quotes = quoted(key, value) if isinstance(value, str) else None
    if in_quotes is None:
        raise UserError(f"{key}: no override has the value {value!r}")
    return in_quotes


def quoted(key: str, value: str) -> str | None:
    """Return an override, as typed in a shell, whose value is exactly this text; None if there is none.

    `output`, `run#1` gives `"output='run#1'"`.
    """
    escaped = value.replace("'", r"\'")
    for text in (f"{key}='{value}'", f'{key}="{value}"', f"{key}='{escaped}'"):
        if _means(text, value):
            return _for_shell(text)
    return None


def _for_shell(text: str) -> str:
    if set(text) & set(SPECIAL_IN_DOUBLE_QUOTES):
        return shlex.quote(text)
    return '"' + text.replace('"', r"\"") + '"'


def _means(text: str, value: Any) -> bool:
    """Return whether Hydra reads the value in an override as this one."""
    try:
        return bool(read(text).value() == value)
    except HydraException:
        return False
