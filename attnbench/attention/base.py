"""The contract between attention and backbone.

An attention variant is a plain `nn.Module`. It is attached once to a backbone, where it may

1. insert modules inside residual blocks (`stage1.block0.residual`, `stage1.block0.out`),
2. insert modules between stages (`stage1.out`),
3. insert modules built of the backbone's own blocks (`backbone.make_block("stage1")`),
4. tap features for predictions of its own, or replace the head (`backbone.remove_classifier()`).

Then, per batch, it turns features and the backbone's logits into an `Output`, and an output into losses. A variant
with nothing to add to one of these steps inherits it.
"""

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, Features, ModuleOutput, Taps

__all__ = ["VARIANTS", "Attention", "ModuleOutput", "Output", "Tap", "hard_labels", "precise"]

VARIANTS = ("paper", "official")
"""What `variant` may be where a paper and its released code differ."""


class Output(NamedTuple):
    """What a classifier returns for a batch.

    logits: (B, L); log-probabilities serve as well. features: the backbone's. extras: tensors of the variant's own.
    """

    logits: Tensor
    features: Features
    extras: Taps


class Tap(nn.Module):
    """Inserted at a point, hands on the map (B, C, H, W) that passes there as `"<point>/<name>/map"`."""

    def forward(self, x: Tensor) -> ModuleOutput:
        return ModuleOutput(x, {"map": x})


class Attention(nn.Module):
    """Base of all attention variants, and the variant `none`: the plain network under cross-entropy."""

    def attach(self, backbone: Backbone) -> None:
        """Insert modules into `backbone`, once, before training.

        Raises `OptionError` when an option does not fit this backbone (no channel left after a reduction, say) and
        `NotImplementedError` when the backbone lacks what the variant is built of.
        """

    @property
    def needs_logits(self) -> bool:
        """Whether `classify` reads the backbone's logits; they are not computed where it does not."""
        return True

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        """Turn features and the backbone's logits (B, L), None if replaced or not needed, into an `Output`."""
        if logits is None:
            raise NotImplementedError(f"{type(self).__name__} removed the classifier but classifies nothing itself")
        return Output(logits, features, {})

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Terms of the training loss, already weighted: their sum is minimised.

        target: (B,) class indices, or (B, L) probabilities when labels are smoothed or mixed.
        """
        return {"cross_entropy": F.cross_entropy(output.logits.float(), target)}

    def as_written(self) -> AbstractContextManager[None] | None:
        """Within it, forward passes take the steps that the paper writes; None if they take no others anyway."""
        return None

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Attention maps (B, K, H, W) by name, computed on request; H = W = 1 where nothing varies in space."""
        del output
        return {}

    def diagnostics(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        """Detached scalars that show whether the method does anything, for one training batch an epoch.

        Called before the backward pass, so that gradients may be taken; they must not reach parameters.
        """
        del output, target
        return {}


def hard_labels(target: Tensor) -> Tensor:
    """Class indices (B,) of a target that is (B,) indices or (B, L) probabilities."""
    return target if target.ndim == 1 else target.argmax(1)


def precise(x: Tensor) -> Tensor:
    """`x` in single precision at least: exponentials and sums over gates are not left to bfloat16."""
    return x if x.dtype == torch.float64 else x.float()
