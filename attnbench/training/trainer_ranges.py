"""Ranges of the group `trainer` that need no device to be checked. Nothing here imports torch."""

from collections.abc import Mapping
from typing import Any

from attnbench.errors import require

GRAPHS = "graphs"
"""Value of `compile` for CUDA graphs, which only a look at the devices allows."""
WITHOUT_EFFECT = {"block_length", "threads", "performance", "progress", "compile"}
"""Options that change no result."""


def check_counts(options: Mapping[str, Any]) -> None:
    """Raise `OptionError` for a number of devices, machines, steps or threads that is out of range."""
    for key in ("devices", "nodes"):
        require(options[key] >= 1, key, options[key], "must be at least 1")
    for key in ("block_length", "threads"):
        value = options[key]
        require(value == "auto" or int(value) >= 1, key, value, "must be at least 1, or auto")
