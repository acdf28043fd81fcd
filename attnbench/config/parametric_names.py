"""Names that hold values: `wrn28_10` is the choice `wrn` with depth 28 and width 10.

A config file declares the pattern of its names: `_name_: wrn{depth}_{width}`. A field may say how its value is written,
as in Python's `str.format`: `{factor:g}` writes 2.0 as 2.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.config.search_path import choices, name_patterns

FIELD = re.compile(r"{(\w+)(?::(\w{1,3}))?}")
"""A field of a pattern: an option, and in one to three characters how its value is written."""


def resolve_name(group: str, name: str, folders: Sequence[Path]) -> tuple[str, dict[str, str]]:
    """Return the choice that a name stands for and the values in the name. Other names are returned as they are."""
    if name in choices(group, folders):
        return name, {}
    for choice, pattern in name_patterns(group, folders).items():
        match = re.fullmatch(_expression(pattern), name)
        if match:
            return choice, match.groupdict()
    return name, {}


def short_name(choice: str, options: Mapping[str, Any]) -> str:
    """Return the name to show for a group's choice: its pattern filled with its options, if it has one.

    The pattern may be a record's, that is a stranger's: it is filled with options and nothing that hangs on them.
    """
    if "_name_" not in options:
        return choice
    return FIELD.sub(lambda found: _filled(found, options), str(options["_name_"]))


def _filled(found: re.Match[str], options: Mapping[str, Any]) -> str:
    """Return an option's value as a field of a pattern asks for it; the field itself where that does not work."""
    try:
        return format(options[found[1]], found[2] or "")
    except (KeyError, ValueError, TypeError):
        return found[0]


def _expression(pattern: str) -> str:
    return re.sub(r"\\{(\w+)(?::\w+)?\\}", r"(?P<\1>[^=,]+?)", re.escape(pattern))
