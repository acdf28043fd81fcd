"""Names that hold values: `wrn28_10` is the choice `wrn` with depth 28 and width 10.

A config file declares the pattern of its names: `_name_: wrn{depth}_{width}`. A field may say how its value is written,
as in Python's `str.format`: `{factor:g}` writes 2.0 as 2.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.config.search_path import choices, name_patterns


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
    """Return the name to show for a group's choice: its pattern filled with its options, if it has one."""
    return str(options["_name_"]).format(**options) if "_name_" in options else choice


def _expression(pattern: str) -> str:
    return re.sub(r"\\{(\w+)(?::\w+)?\\}", r"(?P<\1>[^=,]+?)", re.escape(pattern))
