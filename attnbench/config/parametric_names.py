"""Names that hold values: `wrn28_10` is the choice `wrn` with depth 28 and width 10.

A config file declares the pattern of such names: `_name_: wrn{depth}_{width}`. A field may tell how its value is
written, as Python's `str.format` has it: `{factor:g}` writes 2.0 as 2.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.config.search_path import choices, name_patterns


def spell_out(group: str, name: str, folders: Sequence[Path]) -> tuple[str, dict[str, str]]:
    """The choice that a name stands for, and the values it holds. A name that fits no pattern is returned as is."""
    if name in choices(group, folders):
        return name, {}
    for choice, pattern in name_patterns(group, folders).items():
        match = re.fullmatch(_expression(pattern), name)
        if match:
            return choice, match.groupdict()
    return name, {}


def short_name(choice: str, node: Mapping[str, Any]) -> str:
    """The name to show for a group's choice: its pattern filled with the values it has."""
    return str(node["_name_"]).format(**node) if "_name_" in node else choice


def _expression(pattern: str) -> str:
    return re.sub(r"\\{(\w+)(?::\w+)?\\}", r"(?P<\1>[^=,]+?)", re.escape(pattern))
