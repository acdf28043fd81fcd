"""Insertion points at modules whose callers know nothing of them: those of other libraries, and convolutions.

Such a module is made to pass its input or output through a `Slot`: its class becomes a subclass of its original class.
So names in state dicts stay, and copies and pickles work; with a hook or a closure, a copy would go on calling the
original's slot.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attnbench.backbones.points import Slot, Taps


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
        if not len(self.slot) and not self.slot.drop_path:
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
    """Mixed into the class of a module: its input passes through `calls_before`, its output through `slot_calls`."""

    calls_before: tuple[SlotCall, ...]
    slot_calls: tuple[SlotCall, ...]
    original: type[nn.Module]

    def forward(self, x: Any, *args: Any, **options: Any) -> Tensor:
        for call in self.calls_before:
            x = call(x)
        x = super().forward(x, *args, **options)
        for call in self.slot_calls:
            x = call(x)
        return x

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        return _new_instance, (self.original,), self.__dict__  # no Python module holds the subclass by name


def append_slot(module: nn.Module, call: SlotCall) -> None:
    """Let the output of `module` pass through a slot, after the slots that were appended earlier.

    The module stays where it is and keeps its parameters and names.
    """
    slotted = _with_slots(module)
    slotted.slot_calls = (*slotted.slot_calls, call)


def prepend_slot(module: nn.Module, call: SlotCall) -> None:
    """Let the input of `module`, its first argument, pass through a slot, else as `append_slot`."""
    slotted = _with_slots(module)
    slotted.calls_before = (*slotted.calls_before, call)


def move_slots(old: nn.Module, new: nn.Module) -> None:
    """Let a module that takes another one's place pass its input and output through the slots of that one."""
    if isinstance(old, WithSlots):
        slotted = _with_slots(new)
        slotted.calls_before, slotted.slot_calls = old.calls_before, old.slot_calls


def _with_slots(module: nn.Module) -> WithSlots:
    """Give a module a class that calls slots, if it has none yet."""
    if not isinstance(module, WithSlots):
        module.__class__ = _subclass(type(module))
        assert isinstance(module, WithSlots)
        module.calls_before, module.slot_calls = (), ()
    return module


SUBCLASSES: dict[type[nn.Module], type[nn.Module]] = {}
"""Subclasses made so far, by original class: one each, as compilers tell modules apart by class."""


def _subclass(original: type[nn.Module]) -> type[nn.Module]:
    if original not in SUBCLASSES:
        SUBCLASSES[original] = type(original.__name__, (WithSlots, original), {"original": original})
    return SUBCLASSES[original]


def _new_instance(original: type[nn.Module]) -> nn.Module:
    subclass = _subclass(original)
    return subclass.__new__(subclass)
