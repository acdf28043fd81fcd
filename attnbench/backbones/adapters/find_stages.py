"""Where a library's network has its stages: found by running it, without memory, and watching the resolution.

A stage is a run of layers at one resolution; it ends where the resolution falls, the last one where the head begins.
Resolutions above a quarter of the image's belong to the stem, as in ResNet; of VGG every one is a stage.
"""

import math
from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attnbench.backbones.base import Point

FIRST_STRIDE = 4
STEM = "stem"


class Place(NamedTuple):
    """Where a map passes: the path of the module that puts it out, None for the trunk's end."""

    path: str | None
    point: Point


class StageEnd(NamedTuple):
    """A stage: where it ends, the residual blocks in it, and the modules in it that hold parameters or buffers."""

    end: Place
    blocks: tuple[Place, ...]
    holders: tuple[str, ...]


class Survey(NamedTuple):
    """A network's stages by name; the holders before them; and its children that hold parameters of the head."""

    stages: dict[str, StageEnd]
    stem: tuple[str, ...]
    head: tuple[str, ...]


class Event(NamedTuple):
    """A module that holds parameters or buffers starts (`place` is None), or one that was watched has ended."""

    path: str
    place: Place | None


class Watch:
    """Writes down what a network on the meta device does. The hooks stay on it, so it serves this only."""

    def __init__(self, net: nn.Module, watched: Collection[str], side: int, channels_last: bool) -> None:
        self.events: list[Event] = []
        self.side, self.channels_last = side, channels_last
        for path, module in net.named_modules():
            if path and holds(module):
                module.register_forward_pre_hook(self._starts(path))
            if path in watched:
                module.register_forward_hook(self._ends(path))

    def place(self, path: str | None, x: object) -> Place:
        """Where `x` passes. Raises `NotImplementedError` if it is no map."""
        if not isinstance(x, Tensor) or x.ndim != 4:
            shape = tuple(x.shape) if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise NotImplementedError(f"it hands on {shape}, where attention needs maps (B, C, H, W)")
        channels, height = (x.shape[3], x.shape[1]) if self.channels_last else (x.shape[1], x.shape[2])
        return Place(path, Point(channels, 2 ** round(math.log2(self.side / height))))

    def _starts(self, path: str) -> Callable[..., None]:
        return lambda module, given: self.events.append(Event(path, None))

    def _ends(self, path: str) -> Callable[..., None]:
        return lambda module, given, result: self.events.append(Event(path, self.place(path, result)))


def holds(module: nn.Module) -> bool:
    """Whether a module itself has parameters or buffers."""
    return any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))


@torch.no_grad()
def survey(
    net: nn.Module,
    steps: Collection[str],
    blocks: Collection[str],
    trunk: Callable[[nn.Module, Tensor], Any],
    head: Callable[[nn.Module, Tensor], Any],
    image: Tensor,
    channels_last: bool = False,
    first_stride: int = FIRST_STRIDE,
) -> Survey:
    """Run a network on the meta device and find its stages.

    steps: paths of modules after which a stage may end. blocks: of residual blocks. image: (1, C, side, side).
    channels_last: whether its maps are (B, H, W, C). Raises `NotImplementedError` where it hands on something else.
    """
    watch = Watch(net.eval(), {*steps, *blocks}, image.shape[-1], channels_last)
    final = trunk(net, image)
    events = list(watch.events)
    end = watch.place(None, final)
    head(net, final)
    used_in_head = {event.path for event in watch.events[len(events) :] if event.place is None}
    used_in_trunk = {event.path.split(".")[0] for event in events if event.place is None}
    stages, stem = _stages(events, set(steps), set(blocks), end, first_stride)
    tops = dict.fromkeys(path.split(".")[0] for path in sorted(used_in_head))
    return Survey(stages, stem, tuple(name for name in tops if name not in used_in_trunk))


def _stages(
    events: list[Event], steps: Collection[str], blocks: Collection[str], end: Place, first_stride: int
) -> tuple[dict[str, StageEnd], tuple[str, ...]]:
    places = [(i + 1, e.place) for i, e in enumerate(events) if e.place is not None and e.path in steps]
    runs = [list(run)[-1] for _, run in groupby([*places, (len(events), end)], key=lambda item: item[1].point.stride)]
    found: list[tuple[int, int, Place]] = []
    before = 0
    for stop, place in runs:
        if place.point.stride >= first_stride and any(e.place is None for e in events[before:stop]):
            begin = before if not found else found[-1][1]
            found.append((begin, stop, place))
        before = stop
    if not found:
        raise NotImplementedError("its maps nowhere have a quarter of the image's side")
    found[-1] = (found[-1][0], len(events), end)  # what follows without parameters is a last pooling
    stem = _holders(events[: found[0][0]])
    stages = {
        f"stage{number}": StageEnd(place, _blocks(events[start:stop], blocks), _holders(events[start:stop]))
        for number, (start, stop, place) in enumerate(found, 1)
    }
    return stages, stem


def _holders(events: list[Event]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event.path for event in events if event.place is None))


def _blocks(events: list[Event], blocks: Collection[str]) -> tuple[Place, ...]:
    return tuple(event.place for event in events if event.place is not None and event.path in blocks)


def paths_of(net: nn.Module, kinds: Mapping[type[nn.Module], Any]) -> list[str]:
    """Paths of a network's modules of these classes."""
    return [path for path, module in net.named_modules() if type(module) in kinds]
