"""What backbones of torchvision and timm have in common: the library's own network, with insertion points in it.

The network stays as the library builds it, names in its state dict included; `follow` puts slots behind its modules.
A stage is what `survey` says. Points inside blocks are there for residual blocks whose sum is known (each library's
`BLOCKS`); attention that needs points which a network lacks is refused, and so is attention built of the backbone's own
blocks. The network runs as a whole, so a prediction cannot leave before its last stage.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.backbones.adapters.find_stages import FIRST_STRIDE, STEM, Place, Survey, paths_of, survey
from attnbench.backbones.adapters.slots import Board, Passage, follow, to_first, to_last
from attnbench.backbones.base import Backbone, Features, Slot, Taps
from attnbench.errors import OptionError

SIDE = 256
"""Side in pixels of the image that a network is surveyed with: every usual stride divides it."""


class LibraryBackbone(Backbone):
    """A network of another library, by its name there.

    net: the library's network. head_paths: its children that make logits of the final map.
    """

    library: ClassVar[str]
    channels_last = False

    def __init__(self, name: str, num_classes: int, in_channels: int = 3, image_size: int = 224) -> None:
        super().__init__()
        self.name, self.num_classes, self.in_channels, self.image_size = name, num_classes, in_channels, image_size
        self.board = Board()
        self.net = on_meta(self.build) if torch.get_default_device().type == "meta" else self.build()
        found = self._survey()
        self.stages = tuple(found.stages)
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        self.head_paths = tuple(f"net.{name}" for name in found.head)
        self.holders = {STEM: found.stem, **{stage: end.holders for stage, end in found.stages.items()}}
        self._place_slots(found)
        self.register_points()

    # what a library defines

    def build(self) -> nn.Module:
        """The library's network with fresh weights. Raises `OptionError` for an unknown name."""
        raise NotImplementedError

    def trunk_of(self, net: nn.Module, x: Tensor) -> Tensor:
        """The final map of images (B, C, H, W), in the library's own layout."""
        raise NotImplementedError

    def head_of(self, net: nn.Module, x: Tensor) -> Tensor:
        """Logits (B, L) of the final map, in the library's own layout."""
        raise NotImplementedError

    def steps(self, net: nn.Module) -> list[str]:
        """Paths of the modules after which a stage may end."""
        raise NotImplementedError

    def kinds_of_blocks(self) -> Mapping[type[nn.Module], Any]:
        """The classes of residual blocks that have points."""
        raise NotImplementedError

    def residual_of(self, block: nn.Module) -> nn.Module | None:
        """The module of a block that puts out what is added to the shortcut; None if there is no shortcut."""
        raise NotImplementedError

    def first_stride(self) -> int:
        """The stride from which on a run of layers is a stage."""
        return 1 if type(self.net).__name__ == "VGG" else FIRST_STRIDE

    # insertion points

    def _survey(self) -> Survey:
        blueprint = on_meta(self.build)
        image, own = (
            torch.empty(1, self.in_channels, side, side, device="meta")
            for side in (self.survey_side, self.image_size or SIDE)
        )
        options = (self.steps(blueprint), paths_of(blueprint, self.kinds_of_blocks()), self.trunk_of, self.head_of)
        layout = (self.channels_last, self.first_stride())
        with self._refused("cannot be a backbone"):
            found = survey(blueprint, *options, image, *layout)
        with torch.no_grad(), self._refused(f"takes no images of {self.image_size}x{self.image_size}"):
            self.head_of(blueprint, self.trunk_of(blueprint, own))
        return found

    @contextmanager
    def _refused(self, what: str) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, AssertionError, ValueError) as error:  # NotImplementedError is among them
            said = str(error).partition("\n")[0]
            raise OptionError("name", self.name, f"{what}: {said}") from error

    @property
    def survey_side(self) -> int:
        """Side in pixels of the image to survey the network with."""
        return SIDE

    def _place_slots(self, found: Survey) -> None:
        for name, stage in found.stages.items():
            places = nn.Module()
            for number, block in enumerate(stage.blocks):
                places.add_module(f"block{number}", self._slots_of_block(block))
            places.add_module("out", Slot(*stage.end.point))
            self.add_module(name, places)
            if stage.end.path is not None:
                self._follow(self.net.get_submodule(stage.end.path), places.get_submodule("out"))

    def _slots_of_block(self, place: Place) -> nn.Module:
        assert place.path is not None
        block, slots = self.net.get_submodule(place.path), nn.Module()
        residual = self.residual_of(block)
        if residual is not None:
            slots.add_module("residual", Slot(*place.point))
            self._follow(residual, slots.get_submodule("residual"))
        slots.add_module("out", Slot(*place.point))
        self._follow(block, slots.get_submodule("out"))
        return slots

    def _follow(self, module: nn.Module, slot: nn.Module) -> None:
        assert isinstance(slot, Slot)
        follow(module, Passage(slot, self.board, self.channels_last))

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(name for name, holders in self.holders.items() if holders)

    def own_modules(self, until: str) -> Iterator[nn.Module]:
        if until not in self.parts:
            raise KeyError(until)
        for name in self.parts[: self.parts.index(until) + 1]:
            yield from (self.net.get_submodule(path) for path in self.holders[name])

    # weights

    def expect_weights(self, weights: str | None) -> None:
        del weights

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        ours = any(name.startswith("net.") for name in state)
        return dict(state) if ours else {f"net.{name}": tensor for name, tensor in state.items()}

    # forward pass

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        self.board.taps = taps
        try:
            x = self.trunk_of(self.net, x)
        finally:
            self.board.taps = None
        x = to_first(x) if self.channels_last else x
        return self.get_submodule(f"{self.stages[-1]}.out")(x, taps)

    def classify(self, features: Features) -> Tensor:
        return self.head_of(self.net, to_last(features.final) if self.channels_last else features.final)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "exit_after" and value not in (None, self.stages[-1]):
            raise NotImplementedError(f"a network of {self.library}'s runs as a whole: it cannot end after {value}")
        super().__setattr__(name, value)

    @property
    def has_classifier(self) -> bool:
        return not all(isinstance(self.get_submodule(path), nn.Identity) for path in self.head_paths)

    def remove_classifier(self, keep_pooled: bool = False) -> None:
        for path in self.head_paths:
            self.set_submodule(path, nn.Identity())


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network without memory; one whose constructor computes with tensors first with memory."""
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            return build().to("meta")


def replace_first_convolution(net: nn.Module, in_channels: int) -> None:
    """Let a network take images of `in_channels` channels: its first convolution, of three, is built anew."""
    path, old = next((path, layer) for path, layer in net.named_modules() if isinstance(layer, nn.Conv2d))
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    net.set_submodule(path, new)
