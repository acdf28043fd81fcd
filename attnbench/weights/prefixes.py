"""Prefixes that other projects' modules put before the names of a network's weights."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from attnbench.weights.bam_official import from_released, has_released_names
from attnbench.weights.differences import some

PREFIXES = ("net.", "model.", "module.", "_orig_mod.", "encoder.", "network.0.", "backbone.")
"""`network.0.` is the first module of a sequence that ends with a classifier."""
MOST_READINGS = 20


class Reading(NamedTuple):
    """A way to read a state dict.

    Attributes:
        state: Its tensors.
        left_out: Descriptions of what is not in it.
    """

    state: Mapping[str, Tensor]
    left_out: list[str]


def readings_of(state: Mapping[str, Tensor]) -> list[Reading]:
    """Return a state dict as it is, and without each prefix, or several in a row, that it has."""
    return [_reading(prefix, state) for prefix, _ in zip(_prefixes(state), range(MOST_READINGS), strict=False)]


def _prefixes(state: Mapping[str, Tensor]) -> Iterator[str]:
    waiting = [""]
    while waiting:
        prefix = waiting.pop(0)
        yield prefix
        waiting += (longer for part in PREFIXES if any(name.startswith(longer := prefix + part) for name in state))


def _reading(prefix: str, state: Mapping[str, Tensor]) -> Reading:
    if not prefix:
        return Reading(state, [])
    inner = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    others = [name for name in state if not name.startswith(prefix)]
    rest = [f"{len(others)} weights without that prefix ({some(others)})"] if others else []
    return Reading(inner, [f"the prefix {prefix} of their names", *rest])


def translated(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a state dict with our names if it has the released ones of BAM, else as it is."""
    return from_released(state) if has_released_names(state) else state
