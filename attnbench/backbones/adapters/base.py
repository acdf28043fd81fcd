"""Base of the backbones of torchvision and timm: the library's own network, with insertion points in it.

The network stays as the library builds it, including the names in its state dict; `append_slot` puts slots behind its
modules. Its stages are found by `find_stages`. Points inside blocks exist for residual blocks whose sum is known
(`block_classes`), and at every convolution of a map (convolutions.py). Rejected are attention that needs points which a
network lacks, and attention built of the backbone's own blocks. The network runs as a whole, so a prediction
cannot exit before its last stage.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.backbones.adapters.find_stages import FIRST_STRIDE, STEM, NetworkLayout, Place, find_stages, paths_of
from attnbench.backbones.base import Backbone, Features, Slot, Taps
from attnbench.backbones.convolutions import Convolution, Role, record_convolutions, stride_of
from attnbench.backbones.slot_calls import CurrentTaps, SlotCall, append_slot, to_first, to_last
from attnbench.errors import OptionError

PROBE_SIZE = 256
"""Side in pixels of the image with which stages are found: every usual stride divides it."""


class LibraryBackbone(Backbone):
    """A network of another library, by its name there.

    Attributes:
        library: Name of the library.
        net: The library's network.
        channels_last: Its maps are (B, H, W, C).
        block_names: Path of a block in `net` -> its name among the points, `stage1.block0`.
        head_paths: Its children that compute logits from the final map.

    Args:
        name: The library's name of the network.
        num_classes: L.
        in_channels: Channels of the images.
        image_size: Side of the images in pixels.

    Raises:
        OptionError: Unknown name, or a network that cannot be a backbone or takes no images of this size.
    """

    library: ClassVar[str]
    channels_last = False

    def __init__(self, name: str, num_classes: int, in_channels: int = 3, image_size: int = 224) -> None:
        super().__init__()
        self.name, self.num_classes, self.in_channels, self.image_size = name, num_classes, in_channels, image_size
        self.current: CurrentTaps = CurrentTaps()
        self.net = on_meta(self.build) if torch.get_default_device().type == "meta" else self.build()
        layout = self._find_stages()
        self.stages = tuple(layout.stages)
        self.bottlenecks = tuple(f"{stage}.out" for stage in self.stages[:-1])
        self.head_paths = tuple(f"net.{name}" for name in layout.head)
        self.block_names = {
            block.path: f"{name}.block{number}"
            for name, stage in layout.stages.items()
            for number, block in enumerate(stage.blocks)
        }
        self.layers = {STEM: layout.stem, **{name: stage.layers for name, stage in layout.stages.items()}}
        self._place_slots(layout)
        self.register_points()

    # defined by each library

    def build(self) -> nn.Module:
        """Build the library's network with fresh weights. Raises `OptionError` for an unknown name."""
        raise NotImplementedError

    def trunk_of(self, net: nn.Module, x: Tensor) -> Tensor:
        """Return the final map of images (B, C, H, W), in the library's layout."""
        raise NotImplementedError

    def head_of(self, net: nn.Module, x: Tensor) -> Tensor:
        """Return logits (B, L) of the final map, which is in the library's layout."""
        raise NotImplementedError

    def stage_ends(self, net: nn.Module) -> list[str]:
        """Return the paths of the modules after which a stage may end."""
        raise NotImplementedError

    def block_classes(self) -> Mapping[type[nn.Module], Any]:
        """Return the classes of residual blocks that have points, as keys."""
        raise NotImplementedError

    def residual_of(self, block: nn.Module) -> nn.Module | None:
        """Return the module of a block whose output is added to the shortcut; None if there is no shortcut."""
        raise NotImplementedError

    def roles_of(self, block: nn.Module) -> Mapping[Role, str]:
        """Return the paths in a block of its convolutions that have a role, empty if it is no block of a known kind."""
        del block
        return {}

    def first_stride(self) -> int:
        """Return the stride from which on a run of layers is a stage."""
        return 1 if type(self.net).__name__ == "VGG" else FIRST_STRIDE

    @property
    def probe_size(self) -> int:
        """Side in pixels of the image with which stages are found."""
        return PROBE_SIZE

    # insertion points

    def _find_stages(self) -> NetworkLayout:
        blueprint = on_meta(self.build)
        probe, image = (
            torch.empty(1, self.in_channels, side, side, device="meta")
            for side in (self.probe_size, self.image_size or PROBE_SIZE)
        )
        paths = (self.stage_ends(blueprint), paths_of(blueprint, self.block_classes()))
        layout_options = (self.channels_last, self.first_stride())
        with self._rejecting("cannot be a backbone"):
            layout = find_stages(blueprint, *paths, self.trunk_of, self.head_of, probe, *layout_options)
        with torch.no_grad(), self._rejecting(f"takes no images of {self.image_size}x{self.image_size}"):
            self.head_of(blueprint, self.trunk_of(blueprint, image))
        return layout

    @contextmanager
    def _rejecting(self, what: str) -> Iterator[None]:
        """Turn errors of the library's forward pass into an `OptionError` for the name."""
        try:
            yield
        except (RuntimeError, AssertionError, ValueError) as error:  # NotImplementedError is a RuntimeError
            reason = str(error).partition("\n")[0]
            raise OptionError("name", self.name, f"{what}: {reason}") from error

    def _place_slots(self, layout: NetworkLayout) -> None:
        for name, stage in layout.stages.items():
            slots = nn.Module()
            for number, block in enumerate(stage.blocks):
                slots.add_module(f"block{number}", self._slots_of_block(block))
            slots.add_module("out", Slot(*stage.end.point))
            self.add_module(name, slots)
            if stage.end.path is not None:
                self._append(self.net.get_submodule(stage.end.path), slots.get_submodule("out"))

    def _slots_of_block(self, place: Place) -> nn.Module:
        assert place.path is not None
        block, slots = self.net.get_submodule(place.path), nn.Module()
        residual = self.residual_of(block)
        if residual is not None:
            slots.add_module("residual", Slot(*place.point))
            self._append(residual, slots.get_submodule("residual"))
        slots.add_module("out", Slot(*place.point))
        self._append(block, slots.get_submodule("out"))
        return slots

    def _append(self, module: nn.Module, slot: nn.Module) -> None:
        assert isinstance(slot, Slot)
        append_slot(module, SlotCall(slot, self.current, self.channels_last))

    def find_convolutions(self) -> dict[str, Convolution]:
        """Return the convolutions of maps by name; those of pooled vectors, as SE has them, are not among them."""
        blueprint, side = on_meta(self.build).eval(), self.probe_size
        image = torch.empty(1, self.in_channels, side, side, device="meta")
        found = record_convolutions(blueprint, lambda: self.trunk_of(blueprint, image), side)
        maps = [convolution for convolution in found.values() if convolution.taken.stride < stride_of(side, 1)]
        return {self._name_of(c.path): c._replace(path=f"net.{c.path}") for c in maps}

    def convolutions_with_role(self, role: Role) -> list[str]:
        found = ((path, self.roles_of(block).get(role)) for path, block in self.net.named_modules())
        return [self._name_of(f"{path}.{name}") for path, name in found if name]

    def _name_of(self, path: str) -> str:
        """Return the name of a module by the block that it is in, `stage1.block0.conv2`, or its path."""
        parents = (path.rsplit(".", count)[0] for count in range(1, path.count(".") + 1))
        block = next((parent for parent in parents if parent in self.block_names), None)
        return f"net.{path}" if block is None else self.block_names[block] + path.removeprefix(block)

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(name for name, layers in self.layers.items() if layers)

    def own_modules(self, until: str) -> Iterator[nn.Module]:
        if until not in self.parts:
            raise KeyError(until)
        for name in self.parts[: self.parts.index(until) + 1]:
            yield from (self.net.get_submodule(path) for path in self.layers[name])

    # weights

    def check_weights_source(self, source: str | None) -> None:
        del source  # a file or the library's own

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict under this backbone's names: the library's get the prefix `net.`."""
        if any(name.startswith("net.") for name in state):
            return dict(state)
        inserted = tuple(f"{path}." for path in self.slot_paths)
        return {name if name.startswith(inserted) else f"net.{name}": tensor for name, tensor in state.items()}

    # forward pass

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        x = self.trunk_of(self.net, x)
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
    """Build a network on the meta device; if its constructor computes with tensors, build it on the CPU and move it."""
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            return build().to("meta")


def replace_first_convolution(net: nn.Module, in_channels: int) -> None:
    """Let a network take images of `in_channels` channels: replace its first convolution, which takes three."""
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
