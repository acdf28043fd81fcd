"""GGAM's guide: the distance of the channel importances from the weights that Grad-CAM gives the channels.

Paper, equations and options: ggam.py. The gradient is taken by `torch.autograd.grad` up to the feature map only: it
changes no parameter's gradient, triggers no hooks of distributed training, and needs no graph before the map.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.attention.base import Output, hard_labels

GradientClass = Literal["truth", "predicted"]
Squash = Literal["sigmoid", "softmax"]
Divergence = Literal["symmetric", "literal", "one_way"]
LossReduction = Literal["mean", "sum"]
WeightNorm = Literal["none", "sum", "zscore"]

SMALLEST = 1e-12
"""Far below any gradient weight (1e-4), and its square is still a single-precision number."""


def standardise(x: Tensor) -> Tensor:
    """Return rows (B, C) with mean 0 and variance 1; a constant row becomes zeros."""
    centred = x - x.mean(1, keepdim=True)
    return centred * (centred.square().mean(1, keepdim=True) + SMALLEST**2).rsqrt()


REDUCTIONS: dict[LossReduction, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum}
LOG_SQUASH: dict[Squash, Callable[[Tensor], Tensor]] = {
    "sigmoid": F.logsigmoid,
    "softmax": lambda x: x.log_softmax(1),
}
WEIGHTS: dict[WeightNorm, Callable[[Tensor], Tensor]] = {
    "none": lambda gradient: gradient.mean((2, 3)),
    "sum": lambda gradient: gradient.sum((2, 3)),
    "zscore": lambda gradient: standardise(gradient.mean((2, 3))),
}
"""Gradients (B, C, H, W) to channel weights beta (B, C)."""


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off on the device of `x`: gradient weights of 1e-4 need more than bfloat16's 8 bits."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


@dataclass(frozen=True)
class Guide:
    """Distance of S from the weights of the class score's gradient. Options as in `GGAM`."""

    gradient_class: GradientClass
    squash: Squash
    divergence: Divergence
    loss_reduction: LossReduction
    weight_norm: WeightNorm
    second_order: bool

    def weights(self, output: Output, target: Tensor, create_graph: bool = False) -> Tensor:
        """Return beta (B, C), normalised by `weight_norm`.

        The gradient ends at the feature map, so no parameter's gradient changes.

        Args:
            output: Of GGAM; the gradient is taken at its extra `site` (B, C, H, W).
            target: (B,) class indices or (B, L) probabilities.
            create_graph: Keep beta differentiable (`second_order`).
        """
        logits, site = output.logits, output.extras["site"]
        labels = hard_labels(target) if self.gradient_class == "truth" else logits.argmax(1)
        with full_precision(site):
            score = logits.gather(1, labels[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, site, retain_graph=True, create_graph=create_graph)
            return WEIGHTS[self.weight_norm](gradient)

    def log_probabilities(self, weights: Tensor) -> Tensor:
        """Return log w (B, C) of weights beta (B, C): squashed, and divided by the sum."""
        return LOG_SQUASH[self.squash](weights).log_softmax(1)  # a log-softmax of logarithms divides by the sum

    def distance(self, log_s: Tensor, weights: Tensor) -> Tensor:
        """Return the guide, a scalar, before lambda.

        Args:
            log_s: Log-importances (B, C).
            weights: beta (B, C).
        """
        literal = self.divergence == "literal"
        log_w = LOG_SQUASH[self.squash](weights) if literal else self.log_probabilities(weights)
        if self.divergence == "one_way":
            terms = log_s.exp() * (log_s - log_w)
        else:  # both directions share the logarithm of the quotient
            terms = (log_s.exp() - log_w.exp()) * (log_s - log_w) / 2
        return REDUCTIONS[self.loss_reduction](terms.sum(1))
