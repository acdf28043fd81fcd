"""What a backbone shows to attention: points to insert at, features, a classifier, blocks of its own kind.

A backbone is a plain `nn.Module`. Its forward pass is two calls, because a class-score gradient cannot be taken
inside one compiled graph: `features(x)` gives the final feature map and whatever inserted modules hand on,
`classify(features)` gives logits. `backbone.compile()` compiles the features in place and leaves the head eager.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import Tensor, nn

from attnbench.errors import OptionError

Taps = dict[str, Tensor]
"""What inserted modules hand on during one forward pass: `"<point>/<module>/<name>"` -> tensor."""


class Point(NamedTuple):
    """A place in a backbone where attention may be inserted.

    channels: channels C of the feature map (B, C, H, W) that passes there.
    stride: input pixels per feature-map pixel.
    """

    channels: int
    stride: int


class Features(NamedTuple):
    """The result of a backbone's feature pass.

    final: (B, C, H, W), the map that the classifier pools, or the last one before an early exit.
    taps: what inserted modules handed on, by `"<point>/<module>/<name>"`.
    pooled: (B, F), what the classifier reads of the map; None where no such thing was computed (see `pool`).
    """

    final: Tensor
    taps: Taps
    pooled: Tensor | None = None


class ModuleOutput(NamedTuple):
    """What an inserted module returns when it has more to give than the refined map.

    features: (B, C, H, W), takes the place of the module's input.
    extras: tensors to hand on (a gate, a mask), by a name of the module's own.
    """

    features: Tensor
    extras: Taps


class Slot(nn.ModuleDict):
    """An insertion point: the identity until modules are inserted, then those modules in order of insertion.

    An inserted module maps (B, C, H, W) to a tensor of the same shape, or to `ModuleOutput`. It is registered here and
    nowhere else, under its name, so that copies, pickles and state dicts see it once.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.point = ""

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        for name, module in self.items():
            result = module(x)
            if isinstance(result, ModuleOutput):
                x = result.features
                if taps is not None:
                    taps.update({f"{self.point}/{name}/{key}": value for key, value in result.extras.items()})
            else:
                x = result
        return x


class Backbone(nn.Module):
    """Base of all backbones. A subclass builds its layers with `Slot`s among them, ends its constructor with
    `self.register_points()`, sets `stages`, `bottlenecks` and `classifier`, and defines `trunk`.

    points: every place where attention may be inserted, by name (`stage1.out`, `stage2.block0.residual`).
    stages: names of the stages, shallow to deep.
    bottlenecks: the points where downsampling follows (Park et al., BAM, BMVC 2018, figure 1).
    num_classes: number of labels L.
    image_size: side in pixels of the images it is built for, where it was told; other sizes pass as well, unless
    hidden layers of the head fix it.
    exit_after: the stage after which evaluation ends, for an attention that predicts from what it has seen by then;
    None: all stages. Training always runs all.
    classifier: maps pooled features (B, F) to logits (B, L); identity when an attention replaces the head.
    head_paths: paths of the modules that make logits of the final map.
    unused: beginnings of names, in files of weights, that this backbone has no layers for, and needs none.
    preactivated: whether blocks put out a raw sum, which the next layer has to normalise and activate (He et al., ECCV
    2016), rather than one that a ReLU has passed.
    """

    points: dict[str, Point]
    stages: tuple[str, ...]
    bottlenecks: tuple[str, ...]
    num_classes: int
    image_size: int | None = None
    exit_after: str | None = None
    classifier: nn.Module
    head_paths: tuple[str, ...] = ("classifier",)
    unused: tuple[str, ...] = ()
    preactivated: bool = False

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        """Map images (B, 3, H, W) to the final feature map (B, C, h, w), filling `taps` on the way."""
        raise NotImplementedError

    @property
    def running_stages(self) -> tuple[str, ...]:
        """The stages that a forward pass runs, shallow to deep."""
        if self.training or self.exit_after is None:
            return self.stages
        return self.stages[: self.stages.index(self.exit_after) + 1]

    def forward(self, x: Tensor) -> Features:
        """Same as `features`; it is the forward pass so that `compile()` compiles just this."""
        taps: Taps = {}
        final = self.trunk(x, taps)
        return Features(final, taps, self.pool(final))

    def pool(self, final: Tensor) -> Tensor | None:
        """What the classifier reads (B, F) of the final map (B, C, h, w): here its global average.

        A backbone with hidden layers before the classifier has them here. It gives None when they are removed, and in
        an evaluation that ends before them (`exit_after`).
        """
        return final.mean((2, 3))

    @property
    def pooled_channels(self) -> int:
        """F, the length of what the classifier reads."""
        return self.points[f"{self.stages[-1]}.out"].channels

    def features(self, x: Tensor) -> Features:
        """Compute the final feature map and the taps of images `x` (B, C, H, W)."""
        features: Features = self(x)
        return features

    def classify(self, features: Features) -> Tensor:
        """Turn features into logits (B, L)."""
        logits: Tensor = self.classifier(features.pooled)
        return logits

    @property
    def has_classifier(self) -> bool:
        """False once an attention has replaced the head."""
        return not isinstance(self.classifier, nn.Identity)

    def remove_classifier(self, keep_pooled: bool = False) -> None:
        """Leave classification to an attention that has a head of its own; no dead parameters stay behind.

        keep_pooled: the attention reads `Features.pooled`, so hidden layers before the classifier stay.
        """
        self.classifier = nn.Identity()

    def make_block(self, stage: str) -> nn.Module:
        """Build a fresh block of this backbone's kind that maps the stage's output shape to itself.

        Raises `NotImplementedError` where a backbone has no such block; attention built of the backbone's own
        blocks is then refused.
        """
        raise NotImplementedError(f"{type(self).__name__} has no block to build attention of")

    def match(self, pattern: str) -> list[str]:
        """Names of the points that match a shell-style pattern, in forward order: `stage*.block*.out`."""
        return [name for name in self.points if fnmatchcase(name, pattern)]

    def own_modules(self, until: str) -> Iterator[nn.Module]:
        """The modules, none of them inserted, that run up to the end of a stage, or of the `stem`, each once.

        Raises `KeyError` if the backbone has no such part.
        """
        parts = self.parts
        if until not in parts:
            raise KeyError(until)
        inserted = {id(m) for path in self.slot_paths for m in self.get_submodule(path).modules()}
        for part in parts[: parts.index(until) + 1]:
            yield from (m for m in self.get_submodule(part).modules() if id(m) not in inserted)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what runs one after the other: the stem, where it is a module of its own, and the stages."""
        return (*(name for name, _ in self.named_children() if name == "stem"), *self.stages)

    # weights from elsewhere

    def expect_weights(self, weights: str | None) -> None:
        """Be told where weights are to come from: None, a file, or `default`, the library's own.

        Raises `OptionError` if there are none.
        """
        if weights == "default":
            raise OptionError("weights", weights, "there are none that come with this backbone: name a file")

    def default_weights(self) -> str:
        """The name of the weights that `default` stands for."""
        raise NotImplementedError(f"{type(self).__name__} comes without weights")

    def fetch_default_weights(self) -> Mapping[str, Tensor]:
        """The weights that `default` stands for, downloaded if need be."""
        raise NotImplementedError(f"{type(self).__name__} comes without weights")

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of this network, under this backbone's names, as it may be found in files."""
        return dict(state)

    @property
    def slot_paths(self) -> set[str]:
        """Module paths of the backbone's own points; slots inside inserted modules are not among them."""
        return set(self._slots.values())

    def insert(self, point: str, module: nn.Module, name: str) -> None:
        """Insert `module` at `point` under `name`. Raises `KeyError` for an unknown point or a name in use."""
        if point not in self.points:
            raise KeyError(f"no point {point!r}; the points are {', '.join(self.points)}")
        slot = self.get_submodule(self._slots[point])
        assert isinstance(slot, Slot)
        if hasattr(slot, name):
            raise KeyError(f"{point} already holds {name!r}: insert the module under another name")
        slot.add_module(name, module)

    def register_points(self, aliases: dict[str, str] | None = None) -> None:
        """Collect the slots built so far as points, under their module paths or, where given, an alias."""
        self.points, self._slots = {}, {}
        names = {path: alias for alias, path in (aliases or {}).items()}
        for path, slot in self.named_modules():
            if isinstance(slot, Slot):
                slot.point = names.get(path, path)
                self.points[slot.point] = Point(slot.channels, slot.stride)
                self._slots[slot.point] = path
