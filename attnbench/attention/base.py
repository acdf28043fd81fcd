"""The contract between an attention variant and a backbone.

An attention variant is a plain `nn.Module`. It is attached to a backbone once, before training, and may then

1. insert modules inside residual blocks (`stage1.block0.residual`, `stage1.block0.out`, `stage1.block0.conv2.in`),
2. insert modules between stages (`stage1.out`),
3. insert modules built of the backbone's own blocks (`backbone.make_block("stage1")`),
4. tap feature maps for its own predictions, or replace the classifier (`backbone.remove_classifier()`),
5. replace layers of blocks (`backbone.replace("stage1.block0.conv2", module)`).

For each batch it turns features and logits into an `Output`, and an output into losses. A variant inherits every step
to which it adds nothing. A complete variant that scales channels after each stage, and shows its gates:

    class ChannelGate(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.score = nn.Linear(channels, channels)

        def forward(self, x: Tensor) -> ModuleOutput:
            gate = torch.sigmoid(self.score(x.mean((2, 3))))[:, :, None, None]
            return ModuleOutput(x * gate, {"gate": gate})

    class MyAttention(Attention):
        def attach(self, backbone: Backbone) -> None:
            for point in backbone.match("stage*.out"):
                backbone.insert(point, ChannelGate(backbone.points[point].channels), "mine")

        def maps(self, output: Output) -> dict[str, Tensor]:
            return {key: gate for key, gate in output.features.taps.items() if key.endswith("/mine/gate")}

    net = Classifier(ResNet(20, num_classes=10), MyAttention())

With a file `attention/mine.yaml` that names the class as `_target_`, `attnbench train attention=mine --config-dir DIR`
trains it; tests, cost, sweeps and tables need no further change.
"""

from contextlib import AbstractContextManager
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Features, ModuleOutput, Taps
from attnbench.errors import require

__all__ = [
    "Attention",
    "ModuleOutput",
    "Output",
    "Tap",
    "Variant",
    "at_least_float32",
    "extras_by_point",
    "hard_labels",
    "reduced_channels",
]

Variant = Literal["paper", "official"]
"""Values of the option `variant`, where a paper and its released code differ."""


class Output(NamedTuple):
    """The result of a classifier for one batch.

    Attributes:
        logits: (B, L) class scores; log-probabilities serve as well.
        features: The backbone's features, with the extras of inserted modules in `features.taps`.
        extras: Further tensors of the attention, by name, which its `losses` and `maps` read.
    """

    logits: Tensor
    features: Features
    extras: Taps


class Tap(nn.Module):
    """Module to insert at a point whose feature map (B, C, H, W) an attention reads.

    It leaves the map as it is. Inserted as `backbone.insert("stage1.out", Tap(), "mine")`, it makes the map available
    as `features.taps["stage1.out/mine/map"]`.
    """

    def forward(self, x: Tensor) -> ModuleOutput:
        return ModuleOutput(x, {"map": x})


class Attention(nn.Module):
    """Base class of all attention variants; by itself the variant `none`, the plain network under cross-entropy."""

    def attach(self, backbone: Backbone) -> None:
        """Insert modules into `backbone`; called once, before training.

        Raises:
            OptionError: An option does not fit this backbone, such as a reduction that leaves no channel.
            NotImplementedError: The backbone lacks the points or blocks that the variant needs.
        """

    @property
    def needs_logits(self) -> bool:
        """Whether `classify` reads the backbone's logits; where it does not, they are not computed."""
        return True

    @property
    def predicts_logits(self) -> bool:
        """Whether `Output.logits` are class scores, which `recipe.loss=bce` needs, and not log-probabilities."""
        return True

    @property
    def prediction_paths(self) -> tuple[str, ...]:
        """Paths, below the attention, of its own layers that compute class scores; Muon leaves them to AdamW.

        The layers of the backbone's classifier are not among them.
        """
        return ()

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        """Turn features and the backbone's logits into an `Output`.

        Args:
            features: The backbone's final map (B, C, H, W) and the extras of inserted modules.
            logits: (B, L), or None where the variant removed the classifier or does not need them.
        """
        if logits is None:
            raise NotImplementedError(f"{type(self).__name__} removed the classifier but classifies nothing itself")
        return Output(logits, features, {})

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Return the terms of the training loss by name, already weighted: their sum is minimised.

        These are all terms: a variant that adds one keeps `super().losses(output, target)`.

        `recipe.loss=bce` replaces the term `cross_entropy`.

        Args:
            output: Returned by `classify` for the batch.
            target: (B,) class indices, or (B, L) probabilities where labels are smoothed or mixed.
        """
        logits = at_least_float32(output.logits)
        return {"cross_entropy": F.cross_entropy(logits, target if target.ndim == 1 else target.to(logits.dtype))}

    def evaluation_loss(self, output: Output, target: Tensor) -> Tensor:
        """Return the loss that validation and tests report, the mean over the batch: by default cross-entropy.

        A variant whose training loss begins with another term of the output overrides this, so that training and
        evaluation report the same quantity.

        Args:
            output: What `classify` returned for the batch.
            target: (B,) class indices.
        """
        return F.cross_entropy(at_least_float32(output.logits), target)

    def count_as_in_paper(self) -> AbstractContextManager[None] | None:
        """Return a context in which forward passes run the paper's formulation instead of a cheaper equivalent.

        Used when multiply-adds are counted. None if the two are the same.
        """
        return None

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return the attention maps (B, K, H, W) of a batch by name; computed on request only.

        H = W = 1 where attention does not vary in space, K = 1 where it does not vary over channels or heads.
        """
        del output
        return {}

    def diagnostics(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Return detached scalars that show whether the method has an effect; called for one training batch an epoch.

        The call precedes the backward pass, so gradients may be taken, but must not be accumulated in parameters.
        """
        del output, target
        return {}


def extras_by_point(output: Output, module: str) -> dict[str, Taps]:
    """Return the extras of all modules that were inserted under one name: by point, then by the extras' names."""
    found: dict[str, Taps] = {}
    for key, value in output.features.taps.items():
        point, name, extra = key.rsplit("/", 2)
        if name == module:
            found.setdefault(point, {})[extra] = value
    return found


def hard_labels(target: Tensor) -> Tensor:
    """Return class indices (B,) of a target that is (B,) indices or (B, L) probabilities."""
    return target if target.ndim == 1 else target.argmax(1)


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in single precision, or in double if it is: bfloat16 is too coarse for exponentials and sums."""
    return x if x.dtype == torch.float64 else x.float()


def reduced_channels(channels: int, reduction: int) -> int:
    """Return C/r, rounded down. Raises `OptionError` for `reduction` if r < 1 or no channel is left."""
    require(reduction >= 1, "reduction", reduction, "must be at least 1")
    require(channels >= reduction, "reduction", reduction, f"leaves none of the {channels} channels")
    return channels // reduction
