"""Insertion points in networks of other libraries, whose forward passes cannot be rewritten.

A library's module is made to pass its output through a `Slot`: its class becomes a subclass of its original class. So
names in state dicts stay, and copies and pickles work; with a hook or a closure, a copy would go on calling the
original's slot.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attnbench.backbones.base import Slot, Taps


class CurrentTaps:
    """The taps that the slots of one backbone fill during a forward pass; None between passes."""

    taps: Taps | None = None


class SlotCall:
    """Passes a map through a slot. It is no module, so the slot is not registered a second time.

    Args:
        slot: Where attention inserts its modules.
        current: Shared by all slots of the backbone.
        channels_last: Maps are (B, H, W, C) instead of (B, C, H, W).
    """

    def __init__(self, slot: Slot, current: CurrentTaps, channels_last: bool = False) -> None:
        self.slot, self.current, self.channels_last = slot, current, channels_last

    def __call__(self, x: Tensor) -> Tensor:
        if not len(self.slot):
            return x
        if self.channels_last:
            return to_last(self.slot(to_first(x), self.current.taps))
        result: Tensor = self.slot(x, self.current.taps)
        return result


def to_first(x: Tensor) -> Tensor:
    """Permute (B, H, W, C) to (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def to_last(x: Tensor) -> Tensor:
    """Permute (B, C, H, W) to (B, H, W, C)."""
    return x.permute(0, 2, 3, 1)


class WithSlots(nn.Module):
    """Mixed into the class of a library's module: its output passes through `slot_calls`, in order."""

    slot_calls: tuple[SlotCall, ...]
    original: type[nn.Module]

    def forward(self, *args: Any, **options: Any) -> Tensor:
        x: Tensor = super().forward(*args, **options)
        for call in self.slot_calls:
            x = call(x)
        return x

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        return _new_instance, (self.original,), self.__dict__  # no Python module holds the subclass by name


def append_slot(module: nn.Module, call: SlotCall) -> None:
    """Let the output of `module` pass through a slot, after the slots that were appended earlier.

    The module stays where it is and keeps its parameters and names.
    """
    if isinstance(module, WithSlots):
        module.slot_calls = (*module.slot_calls, call)
        return
    module.__class__ = _subclass(type(module))
    assert isinstance(module, WithSlots)
    module.slot_calls = (call,)


SUBCLASSES: dict[type[nn.Module], type[nn.Module]] = {}
"""Subclasses made so far, by original class: one each, as compilers tell modules apart by class."""


def _subclass(original: type[nn.Module]) -> type[nn.Module]:
    if original not in SUBCLASSES:
        SUBCLASSES[original] = type(original.__name__, (WithSlots, original), {"original": original})
    return SUBCLASSES[original]


def _new_instance(original: type[nn.Module]) -> nn.Module:
    subclass = _subclass(original)
    return subclass.__new__(subclass)
