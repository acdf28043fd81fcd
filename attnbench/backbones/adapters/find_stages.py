"""Find the stages of a library's network: run it on the meta device and watch the resolution.

A stage is a run of layers at one resolution; it ends where the resolution falls, the last one where the head begins.
Resolutions above a quarter of the image's belong to the stem, as in ResNet; in VGG every one is a stage.
"""

import math
from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attnbench.backbones.points import Point

FIRST_STRIDE = 4
"""Stride in image pixels from which on a run of layers is a stage."""
STEM = "stem"


class Place(NamedTuple):
    """A feature map in a network.

    Attributes:
        path: Of the module that returns it; None for the end of the trunk.
        point: Its channels and stride.
    """

    path: str | None
    point: Point


class StageLayout(NamedTuple):
    """One stage.

    Attributes:
        end: Its last feature map.
        blocks: Ends of its residual blocks.
        layers: Paths of its modules that hold parameters or buffers.
    """

    end: Place
    blocks: tuple[Place, ...]
    layers: tuple[str, ...]


class NetworkLayout(NamedTuple):
    """Stages and head of a network.

    Attributes:
        stages: By name, `stage1` first.
        stem: Paths of the modules before the stages that hold parameters or buffers.
        head: The network's children that hold parameters of the head.
    """

    stages: dict[str, StageLayout]
    stem: tuple[str, ...]
    head: tuple[str, ...]


class Event(NamedTuple):
    """One step of a forward pass: a layer starts (`place` is None), or a watched module has returned a map."""

    path: str
    place: Place | None


class ForwardRecorder:
    """Records the forward pass of a network on the meta device.

    Its hooks stay on the network, so the network serves no other purpose.

    Args:
        net: The network.
        watched: Paths of the modules whose outputs are recorded.
        image_size: Side of the image in pixels.
        channels_last: Maps are (B, H, W, C).
    """

    def __init__(self, net: nn.Module, watched: Collection[str], image_size: int, channels_last: bool) -> None:
        self.events: list[Event] = []
        self.image_size, self.channels_last = image_size, channels_last
        for path, module in net.named_modules():
            if path and is_layer(module):
                module.register_forward_pre_hook(self._on_start(path))
            if path in watched:
                module.register_forward_hook(self._on_end(path))

    def place(self, path: str | None, x: object) -> Place:
        """Return channels and stride of a module's output. Raises `NotImplementedError` if it is no map."""
        if not isinstance(x, Tensor) or x.ndim != 4:
            shape = tuple(x.shape) if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise NotImplementedError(f"it hands on {shape}, where attention needs maps (B, C, H, W)")
        channels, height = (x.shape[3], x.shape[1]) if self.channels_last else (x.shape[1], x.shape[2])
        return Place(path, Point(channels, 2 ** round(math.log2(self.image_size / height))))

    def _on_start(self, path: str) -> Callable[..., None]:
        return lambda module, inputs: self.events.append(Event(path, None))

    def _on_end(self, path: str) -> Callable[..., None]:
        return lambda module, inputs, output: self.events.append(Event(path, self.place(path, output)))


def is_layer(module: nn.Module) -> bool:
    """Return whether a module itself has parameters or buffers."""
    return any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))


@torch.no_grad()
def find_stages(
    net: nn.Module,
    ends: Collection[str],
    blocks: Collection[str],
    trunk: Callable[[nn.Module, Tensor], Any],
    head: Callable[[nn.Module, Tensor], Any],
    image: Tensor,
    channels_last: bool = False,
    first_stride: int = FIRST_STRIDE,
) -> NetworkLayout:
    """Run a network on the meta device and find its stages.

    Args:
        net: On the meta device; hooks stay on it.
        ends: Paths of modules after which a stage may end.
        blocks: Paths of residual blocks.
        trunk: Computes the final map from the network and images.
        head: Computes logits from the network and the final map.
        image: (1, C, side, side) on the meta device.
        channels_last: Maps are (B, H, W, C).
        first_stride: Stride from which on a run of layers is a stage.

    Raises:
        NotImplementedError: The network passes on something other than maps, or never reaches `first_stride`.
    """
    recorder = ForwardRecorder(net.eval(), {*ends, *blocks}, image.shape[-1], channels_last)
    final = trunk(net, image)
    events = list(recorder.events)
    end = recorder.place(None, final)
    head(net, final)
    used_in_head = {event.path for event in recorder.events[len(events) :] if event.place is None}
    used_in_trunk = {event.path.split(".")[0] for event in events if event.place is None}
    stages, stem = _split_into_stages(events, set(ends), set(blocks), end, first_stride)
    children = dict.fromkeys(path.split(".")[0] for path in sorted(used_in_head))
    return NetworkLayout(stages, stem, tuple(name for name in children if name not in used_in_trunk))


def _split_into_stages(
    events: list[Event], ends: Collection[str], blocks: Collection[str], final: Place, first_stride: int
) -> tuple[dict[str, StageLayout], tuple[str, ...]]:
    """Return the stages by name, and the layers of the stem."""
    places = [(i + 1, e.place) for i, e in enumerate(events) if e.place is not None and e.path in ends]
    by_stride = groupby([*places, (len(events), final)], key=lambda item: item[1].point.stride)
    runs = [list(run)[-1] for _, run in by_stride]
    spans: list[tuple[int, int, Place]] = []
    before = 0
    for stop, place in runs:
        if place.point.stride >= first_stride and any(e.place is None for e in events[before:stop]):
            begin = before if not spans else spans[-1][1]
            spans.append((begin, stop, place))
        before = stop
    if not spans:
        raise NotImplementedError("its maps nowhere have a quarter of the image's side")
    spans[-1] = (spans[-1][0], len(events), final)  # what follows without parameters is a last pooling
    stages = {
        f"stage{number}": StageLayout(place, _blocks(events[start:stop], blocks), _layers(events[start:stop]))
        for number, (start, stop, place) in enumerate(spans, 1)
    }
    return stages, _layers(events[: spans[0][0]])


def _layers(events: list[Event]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event.path for event in events if event.place is None))


def _blocks(events: list[Event], blocks: Collection[str]) -> tuple[Place, ...]:
    return tuple(event.place for event in events if event.place is not None and event.path in blocks)


def paths_of(net: nn.Module, classes: Mapping[type[nn.Module], Any]) -> list[str]:
    """Return the paths of a network's modules of these classes."""
    return [path for path, module in net.named_modules() if type(module) in classes]
