"""Points at single convolutions: `stage1.block0.conv2.in`, the map that it takes, and `….out`, the map that it returns.

They are for methods whose authors have a module directly before or behind convolutions. A network has hundreds of such
places, so they join `Backbone.points` only when a module is inserted there. Until then the convolution is a plain one
and the network computes exactly what it would without this file. Then the convolution gets a class that calls slots
(slot_calls.py), and the slots are its children: names in state dicts stay.

Their channels and strides are measured on the meta device, where nothing is computed, once they are asked for.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from attnbench.backbones.evaluation_mode import evaluating
from attnbench.backbones.points import Point, PointError, Slot
from attnbench.backbones.slot_calls import CurrentTaps, SlotCall, append_slot, prepend_slot

Role = Literal["spatial", "projection"]
"""What a convolution does in a block, for methods that treat several families alike.

`spatial`: the last 3x3 convolution of a residual or depthwise-separable block. `projection`: the 1x1 convolution behind
a depthwise one whose channels a convolution before has widened. A class of blocks names them in its attribute `roles`.
"""
CHILDREN = {"in": "before", "out": "out"}  # `in`, a word of Python's grammar, makes torch.compile fail
"""Side of a convolution -> name of the slot there among the convolution's children."""
UNKNOWN_SIZE = 256
"""Side in pixels of the image with which strides are measured where a backbone has no size of its own."""


class Convolution(NamedTuple):
    """A convolution of a backbone.

    Attributes:
        path: Of the module.
        taken: Channels and stride of its input (B, C, H, W).
        returned: Channels and stride of its output.
    """

    path: str
    taken: Point
    returned: Point


class WithConvolutionPoints(nn.Module):
    """The part of a backbone that inserts at convolutions.

    Attributes:
        current: Filled with the extras of modules at convolutions during a forward pass; None while there are none.
    """

    points: dict[str, Point]
    image_size: int | None
    current: CurrentTaps | None = None
    _slots: dict[str, str]
    _convolutions: dict[str, Convolution] | None = None

    @property
    def convolutions(self) -> dict[str, Convolution]:
        """The convolutions of the trunk by name, in forward order; those that are inserted later are not among them."""
        if self._convolutions is None:
            self._convolutions = self.find_convolutions()
        return self._convolutions

    def find_convolutions(self) -> dict[str, Convolution]:
        """Run the trunk on the meta device and return its convolutions by name, in forward order."""
        first = next((module for module in self.modules() if isinstance(module, nn.Conv2d)), None)
        if first is None:
            return {}
        side = self.image_size or UNKNOWN_SIZE
        image = torch.empty(1, first.in_channels, side, side, device="meta")
        tensors = (*self.named_parameters(), *self.named_buffers())
        own = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
        with evaluating(self), torch.no_grad():
            return record_convolutions(self, lambda: functional_call(self, own, (image,)), side)

    def convolutions_with_role(self, role: Role) -> list[str]:
        """Return the names of the convolutions that have a role in their blocks, in forward order."""
        found = ((path, getattr(block, "roles", {}).get(role)) for path, block in self.named_modules())
        return [f"{path}.{name}" for path, name in found if name]

    @property
    def convolution_slot_paths(self) -> list[str]:
        """Module paths that the points at all convolutions have, or would have."""
        layers = [path for path, layer in self.named_modules() if isinstance(layer, nn.Conv2d)]
        return [f"{path}.{child}" for path in layers for child in CHILDREN.values()]

    def point(self, name: str) -> Point:
        """Return channels and stride of a point, in `points` or at a convolution. Raises `PointError` if unknown."""
        if name in self.points:
            return self.points[name]
        convolution, _, side = name.rpartition(".")
        if side not in CHILDREN or convolution not in self.convolutions:
            raise PointError(f"no point {name!r}; the points are {', '.join(self.points)}, and those at convolutions")
        found = self.convolutions[convolution]
        return found.taken if side == "in" else found.returned

    def _open(self, name: str) -> None:
        """Make the point at a convolution. Raises `PointError` for an unknown one."""
        place = self.point(name)
        convolution, _, side = name.rpartition(".")
        path = self.convolutions[convolution].path
        child = CHILDREN[side]
        slot, self.current = Slot(*place), self.current or CurrentTaps()
        slot.point = name
        layer = self.get_submodule(path)
        layer.add_module(child, slot)
        (prepend_slot if side == "in" else append_slot)(layer, SlotCall(slot, self.current))
        self.points[name], self._slots[name] = place, f"{path}.{child}"


def stride_of(side: int, height: int) -> int:
    """Return the stride of a map of this height for images of `side` pixels: a power of two."""
    return int(2 ** round(math.log2(side / height)))


def record_convolutions(net: nn.Module, run: Callable[[], object], side: int) -> dict[str, Convolution]:
    """Run a network and return its convolutions by path, in forward order.

    Args:
        net: The network.
        run: Runs it for images of `side` x `side` pixels.
        side: In pixels.
    """
    found: dict[str, Convolution] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(layer: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            taken = Point(layer.in_channels, stride_of(side, inputs[0].shape[-2]))
            returned = Point(layer.out_channels, taken.stride * int(layer.stride[0]))
            found.setdefault(path, Convolution(path, taken, returned))

        return hook

    layers = [(path, module) for path, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    handles = [layer.register_forward_hook(note(path)) for path, layer in layers]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found
