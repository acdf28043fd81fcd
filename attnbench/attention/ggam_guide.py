"""GGAM's guide: how far the channel importances are from the weights that Grad-CAM gives the channels.

The paper and the options are in ggam.py. The gradient is taken by `torch.autograd.grad` up to the feature map only: it
touches no parameter's gradient, nor the hooks of distributed training, and asks nothing of what lies before the map.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.attention.base import Output, hard_labels

Function = Callable[[Tensor], Tensor]

REDUCTIONS: dict[str, Function] = {"mean": torch.mean, "sum": torch.sum}
SMALLEST = 1e-12
"""Far below any gradient weight (1e-4), and its square is still a single-precision number."""


def standardise(x: Tensor) -> Tensor:
    """Rows (B, C) with mean 0 and variance 1; a constant row becomes zeros."""
    centred = x - x.mean(1, keepdim=True)
    return centred * (centred.square().mean(1, keepdim=True) + SMALLEST**2).rsqrt()


LOG_SQUASH: dict[str, Function] = {"sigmoid": F.logsigmoid, "softmax": lambda x: x.log_softmax(1)}
WEIGHTS: dict[str, Function] = {
    "none": lambda gradient: gradient.mean((2, 3)),
    "sum": lambda gradient: gradient.sum((2, 3)),
    "zscore": lambda gradient: standardise(gradient.mean((2, 3))),
}


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Autocast switched off on the device of `x`: gradient weights of 1e-4 need more than bf16's 8 bits."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


@dataclass(frozen=True)
class Guide:
    """How far S is from the weights of the class-score gradient."""

    gradient_class: str
    squash: str
    divergence: str
    loss_reduction: str
    weight_norm: str
    second_order: bool

    def weights(self, output: Output, target: Tensor, create_graph: bool = False) -> Tensor:
        """beta (B, C), normalised by `weight_norm`; stops at the feature map, so no parameter's gradient changes."""
        logits, site = output.logits, output.extras["site"]
        labels = hard_labels(target) if self.gradient_class == "truth" else logits.argmax(1)
        with full_precision(site):
            score = logits.gather(1, labels[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, site, retain_graph=True, create_graph=create_graph)
            return WEIGHTS[self.weight_norm](gradient)

    def log_probabilities(self, weights: Tensor) -> Tensor:
        """log of the squashed weights (B, C) over their sum."""
        return LOG_SQUASH[self.squash](weights).log_softmax(1)  # a log-softmax of logarithms divides by the sum

    def distance(self, log_s: Tensor, weights: Tensor) -> Tensor:
        """The guide, before lambda, of log-importances and weights, both (B, C)."""
        literal = self.divergence == "literal"
        log_w = LOG_SQUASH[self.squash](weights) if literal else self.log_probabilities(weights)
        if self.divergence == "one_way":
            terms = log_s.exp() * (log_s - log_w)
        else:  # both directions share the logarithm of the quotient
            terms = (log_s.exp() - log_w.exp()) * (log_s - log_w) / 2
        return REDUCTIONS[self.loss_reduction](terms.sum(1))
