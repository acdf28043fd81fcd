"""Insertion points in networks of other libraries, whose forward pass cannot be rewritten.

A module of theirs is made to pass its output through a `Slot`. Its class becomes a subclass of what it was, so that
names in state dicts stay, and copies and pickles work: a hook or a closure would go on calling the original's slot.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attnbench.backbones.base import Slot, Taps


class Board:
    """Where the slots of one backbone leave what they hand on, during a forward pass; empty between passes."""

    taps: Taps | None = None


class Passage:
    """Passes a map (B, C, H, W), or (B, H, W, C) if `channels_last`, through a slot. It registers no module."""

    def __init__(self, slot: Slot, board: Board, channels_last: bool = False) -> None:
        self.slot, self.board, self.channels_last = slot, board, channels_last

    def __call__(self, x: Tensor) -> Tensor:
        if not len(self.slot):
            return x
        if self.channels_last:
            return to_last(self.slot(to_first(x), self.board.taps))
        passed: Tensor = self.slot(x, self.board.taps)
        return passed


def to_first(x: Tensor) -> Tensor:
    """(B, H, W, C) to (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def to_last(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C)."""
    return x.permute(0, 2, 3, 1)


class Followed(nn.Module):
    """Mixed into the class of a library's module: its output goes through `passages`, in order."""

    passages: tuple[Passage, ...]
    original: type[nn.Module]

    def forward(self, *args: Any, **options: Any) -> Tensor:
        x: Tensor = super().forward(*args, **options)
        for passage in self.passages:
            x = passage(x)
        return x

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        return _empty, (self.original,), self.__dict__  # the class is made anew: no module holds it by name


def follow(module: nn.Module, passage: Passage) -> None:
    """Let the output of `module`, which stays what and where it is, go through `passage`, after earlier ones."""
    if isinstance(module, Followed):
        module.passages = (*module.passages, passage)
        return
    module.__class__ = _followed(type(module))
    assert isinstance(module, Followed)
    module.passages = (passage,)


MADE: dict[type[nn.Module], type[nn.Module]] = {}
"""Classes made so far, by what they were made of: one for each, as compilers tell modules apart by class."""


def _followed(kind: type[nn.Module]) -> type[nn.Module]:
    if kind not in MADE:
        MADE[kind] = type(kind.__name__, (Followed, kind), {"original": kind})
    return MADE[kind]


def _empty(kind: type[nn.Module]) -> nn.Module:
    made = _followed(kind)
    return made.__new__(made)
