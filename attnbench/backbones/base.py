"""The contract of a backbone: points to insert attention at, features, a classifier, and its own kind of blocks.

A backbone is a plain `nn.Module`. Its forward pass is two calls, because a class-score gradient cannot be taken
inside one compiled graph: `features(x)` returns the final feature map and the extras of inserted modules,
`classify(features)` returns logits. `backbone.compile()` compiles the features in place and leaves the head eager.

A new backbone places `Slot`s among its layers, sets `stages`, `bottlenecks`, `classifier` and `num_classes`, registers
its points, and defines `trunk`:

    class TwoStages(Backbone):
        stages = ("stage1", "stage2")
        bottlenecks = ("stage1.out",)

        def __init__(self, num_classes: int, in_channels: int = 3, image_size: int = 32) -> None:
            super().__init__()
            self.num_classes, self.image_size = num_classes, image_size
            self.conv1, self.conv2 = conv3x3(in_channels, 16), conv3x3(16, 32, stride=2)
            self.stage1, self.stage2 = nn.Module(), nn.Module()
            self.stage1.out, self.stage2.out = Slot(16, stride=1), Slot(32, stride=2)
            self.classifier = nn.Linear(32, num_classes)
            self.register_points()

        def trunk(self, x: Tensor, taps: Taps) -> Tensor:
            x = self.stage1.out(F.relu(self.conv1(x)), taps)
            return self.stage2.out(F.relu(self.conv2(x)), taps)

Constructors take `num_classes`, `in_channels` and `image_size` from the data set; all other options are theirs.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import Tensor, nn

from attnbench.backbones.convolutions import WithConvolutionPoints
from attnbench.backbones.points import ModuleOutput, Point, PointError, Slot, Taps
from attnbench.backbones.pooling import global_average
from attnbench.errors import OptionError, require

__all__ = ["Backbone", "Features", "ModuleOutput", "Point", "Slot", "Taps"]


class Features(NamedTuple):
    """The result of a backbone's feature pass.

    Attributes:
        final: (B, C, H, W), the map that the classifier pools, or the last one before an early exit.
        taps: Extras of inserted modules, by `"<point>/<module>/<name>"`.
        pooled: (B, F), the classifier's input; None where it is not computed (see `Backbone.pool`).
    """

    final: Tensor
    taps: Taps
    pooled: Tensor | None = None


class Backbone(WithConvolutionPoints):
    """Base class of all backbones.

    Attributes:
        points: Every place where attention may be inserted, by name (`stage1.out`, `stage2.block0.residual`). Those at
            single convolutions (`stage2.block0.conv2.out`) join them when a module is inserted (see convolutions.py).
        stages: Names of the stages, shallow to deep.
        bottlenecks: Points that precede a downsampling (Park et al., BAM, BMVC 2018, figure 1).
        num_classes: Number of classes L.
        image_size: Side in pixels of the images that the backbone is built for, or None if unknown. Other sizes work
            too, unless hidden layers of the head fix the size.
        exit_after: Stage after which an evaluation ends, set by an attention that exits early; None: all stages.
            Training always runs all stages.
        classifier: Maps pooled features (B, F) to logits (B, L); identity once an attention has replaced it.
        head_paths: Paths of the modules that compute logits from the final map.
        unused: Prefixes of names in weight files that this backbone has no layers for and does not need.
        preactivated: Whether blocks return a raw sum, which the next layer normalises and activates (He et al., ECCV
            2016), instead of one that a ReLU has passed.
        replaced_paths: Paths of layers that an attention has replaced (see `replace`).
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
    replaced_paths: tuple[str, ...] = ()

    # forward pass

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        """Map images (B, 3, H, W) to the final feature map (B, C, h, w); every subclass defines it.

        Args:
            x: Images.
            taps: To be passed to every `Slot` on the way.
        """
        raise NotImplementedError

    @property
    def running_stages(self) -> tuple[str, ...]:
        """The stages that a forward pass runs, shallow to deep; not all of them in an evaluation that exits early."""
        if self.training or self.exit_after is None:
            return self.stages
        return self.stages[: self.stages.index(self.exit_after) + 1]

    def forward(self, x: Tensor) -> Features:
        """Compute the same as `features`; it is the forward pass, so that `compile()` compiles exactly this."""
        taps: Taps = {}
        if self.current is None:
            final = self.trunk(x, taps)
        else:
            self.current.taps = taps
            try:
                final = self.trunk(x, taps)
            finally:
                self.current.taps = None
        return Features(final, taps, self.pool(final))

    def pool(self, final: Tensor) -> Tensor | None:
        """Return the classifier's input (B, F) for the final map (B, C, h, w): here its global average.

        A backbone with hidden layers before the classifier applies them here. It returns None once they are removed,
        and in an evaluation that exits before them (`exit_after`).
        """
        return global_average(final)

    @property
    def pooled_channels(self) -> int:
        """F, the length of the classifier's input."""
        return self.points[f"{self.stages[-1]}.out"].channels

    def features(self, x: Tensor) -> Features:
        """Compute the final feature map and the taps of images `x` (B, C, H, W)."""
        features: Features = self(x)
        return features

    # classifier

    def classify(self, features: Features) -> Tensor:
        """Turn features into logits (B, L)."""
        logits: Tensor = self.classifier(features.pooled)
        return logits

    @property
    def has_classifier(self) -> bool:
        """False once an attention has replaced the classifier."""
        return not isinstance(self.classifier, nn.Identity)

    def remove_classifier(self, keep_pooled: bool = False) -> None:
        """Leave classification to an attention with its own head; no unused parameters remain.

        Args:
            keep_pooled: Keep hidden layers before the classifier, because the attention reads `Features.pooled`.
        """
        self.classifier = nn.Identity()

    # points and blocks

    def make_block(self, stage: str) -> nn.Module:
        """Build a fresh block of this backbone's kind that maps the output shape of `stage` to itself.

        Raises:
            NotImplementedError: The backbone has no such block; attention built of its blocks is then rejected.
        """
        raise NotImplementedError(f"{type(self).__name__} has no block to build attention of")

    def match(self, pattern: str) -> list[str]:
        """Return the names of points that match a shell-style pattern, in forward order: `stage*.block*.out`."""
        return [name for name in self.points if fnmatchcase(name, pattern)]

    def insert(self, point: str, module: nn.Module, name: str) -> None:
        """Insert `module` at `point` under `name`. Raises `PointError` for an unknown point or a name in use."""
        if point not in self.points:
            self._open(point)
        slot = self._slot(point)
        if hasattr(slot, name):
            raise PointError(f"{point} already holds {name!r}: insert the module under another name")
        slot.add_module(name, module)

    def drop_paths(self, rate: float) -> None:
        """Drop residual branches of single samples in training (stochastic depth).

        Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3: the l-th of L blocks is dropped with
        probability rate * l / L. As in torchvision and timm, the other samples are divided by the probability of being
        kept, so that evaluation needs no factor.

        Raises:
            OptionError: `rate` is not in [0, 1), or no residual block has a point before its sum.
        """
        points = self.match("stage*.block*.residual")
        for point, own in zip(points, rising_rates(rate, len(points)), strict=True):
            self._slot(point).drop_path = own

    def _slot(self, point: str) -> Slot:
        slot = self.get_submodule(self._slots[point])
        assert isinstance(slot, Slot)
        return slot

    def replace(self, path: str, module: nn.Module) -> None:
        """Put `module` in the place of a layer that an attention computes in another way, such as a convolution.

        Args:
            path: Module path of the layer, such as `stage1.block0.conv2`.
            module: Maps the layer's input to an output of the same shape.
        """
        self.set_submodule(path, module)
        self.replaced_paths = (*self.replaced_paths, path)

    def register_points(self, aliases: dict[str, str] | None = None) -> None:
        """Register all slots built so far as points; a constructor calls it at its end.

        Args:
            aliases: Point name -> module path of a slot, for points that are not called by their path.
        """
        self.points, self._slots = {}, {}
        names = {path: alias for alias, path in (aliases or {}).items()}
        for path, slot in self.named_modules():
            if isinstance(slot, Slot):
                slot.point = names.get(path, path)
                self.points[slot.point] = Point(slot.channels, slot.stride)
                self._slots[slot.point] = path

    @property
    def slot_paths(self) -> set[str]:
        """Module paths of the backbone's points; slots inside inserted modules are not among them."""
        return set(self._slots.values())

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the consecutive parts: the stem, where it is one module, and the stages."""
        return (*(name for name, _ in self.named_children() if name == "stem"), *self.stages)

    def own_modules(self, until: str) -> Iterator[nn.Module]:
        """Yield, once each, the modules that run up to the end of a part, without those that an attention inserted.

        A layer between two parts, such as DenseNet's transitions, belongs to the later one. Children are registered in
        the order in which they run.

        Args:
            until: `stem`, where there is one, or the name of a stage. Raises `KeyError` for any other.
        """
        parts = self.parts
        if until not in parts:
            raise KeyError(until)
        foreign = (*self.slot_paths, *self.replaced_paths)
        inserted = {id(m) for path in foreign for m in self.get_submodule(path).modules()}
        children = self._children_by_part()
        for part in parts[: parts.index(until) + 1]:
            layers = (m for path in children.get(part, [part]) for m in self.get_submodule(path).modules())
            yield from (m for m in layers if id(m) not in inserted)

    def _children_by_part(self) -> dict[str, list[str]]:
        """Return the names of the children of each part: all from the part before it to its own."""
        found: dict[str, list[str]] = {}
        between: list[str] = []
        for name, _ in self.named_children():
            between.append(name)
            if name in self.parts:
                found[name], between = between, []
        return found

    # weights

    def check_weights_source(self, source: str | None) -> None:
        """Check `backbone.weights`: None, a path, or `default`, the library's own weights.

        Called once, before weights are loaded. Raises `OptionError` if this backbone comes without weights.
        """
        if source == "default":
            raise OptionError("weights", source, "there are none that come with this backbone: name a file")

    def default_weights(self) -> str:
        """Return the name of the weights that `default` stands for."""
        raise NotImplementedError(f"{type(self).__name__} comes without weights")

    def fetch_default_weights(self) -> Mapping[str, Tensor]:
        """Return the state dict that `default` stands for, downloaded if it is not on disk."""
        raise NotImplementedError(f"{type(self).__name__} comes without weights")

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict of this network under the backbone's names; files may use a library's."""
        return dict(state)


def rising_rates(rate: float, count: int) -> list[float]:
    """Return the rates of `count` branches, rate * l / L; raises `OptionError` as `Backbone.drop_paths` does."""
    require(0 <= rate < 1, "drop_path", rate, "must be in [0, 1)")
    require(count > 0, "drop_path", rate, "must be 0: this backbone has no residual blocks to drop")
    return [rate * number / count for number in range(1, count + 1)]
