"""Describe in a few words how two state dicts differ."""

from collections.abc import Iterable

from torch import Tensor

NAMED = 2
"""Names that a message lists; it gives the number of the others."""


def differences(shapes: Iterable[str], missing: Iterable[str], unexpected: Iterable[str], where: str) -> str:
    """Return how many differences of each kind there are, with the first ones; empty if there are none.

    Args:
        shapes: Descriptions of weights whose shapes differ.
        missing: Names that the stored state dict lacks.
        unexpected: Names that only the stored state dict has.
        where: Name of the stored state dict: "the weights", "the checkpoint".
    """
    kinds = {"of another shape": shapes, f"not in {where}": missing, f"only in {where}": unexpected}
    named = {kind: list(names) for kind, names in kinds.items()}
    return "; ".join(f"{len(names)} {kind} ({some(names)})" for kind, names in named.items() if names)


def some(names: list[str]) -> str:
    """Return the first names of a list, with … for the rest."""
    return ", ".join([*names[:NAMED], *(["…"] if len(names) > NAMED else [])])


def shape_of(weight: Tensor) -> str:
    """Return a tensor's shape as people write it: 64x3x7x7."""
    return "x".join(map(str, weight.shape)) or "a number"
