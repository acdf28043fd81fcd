"""Scalars that show what GGAM's importance S and its guide do in training. Paper, equations and options: ggam.py."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from attnbench.attention.base import Output
from attnbench.attention.ggam_guide import Guide, full_precision, standardise

COLLAPSED = 0.1
"""Entropy of S, as a share of the uniform distribution's, below which attention is on one or two channels."""


def entropy_of(log_s: Tensor) -> Tensor:
    """Return the mean entropy of importances, given as log S (B, C), as a share of the uniform distribution's."""
    return -(log_s.exp() * log_s).sum(1).mean() / math.log(log_s.shape[1])


def compare_with_guide(guide: Guide, output: Output, target: Tensor) -> dict[str, Tensor]:
    """Compare S with the weights of the class score's gradient, whether or not they guide it.

    `target_kl` is the KL divergence of the normalised weights from uniform; near 0 the guide flattens S. `correlation`
    is that of S and the weights over channels, and `weight` the mean of |beta|, normalised by `weight_norm`.

    Args:
        guide: That of the method; its weight may be 0.
        output: With a graph.
        target: (B,) class indices or (B, L) probabilities.
    """
    log_s = output.extras["log_importance"].detach()
    weights = guide.weights(output, target).detach()
    log_w = guide.log_probabilities(weights)
    return {
        "target_kl": (log_w.exp() * log_w).sum(1).mean() + math.log(log_s.shape[1]),
        "correlation": (standardise(log_s.exp()) * standardise(weights)).mean(),
        "weight": weights.abs().mean(),
    }


def guide_shares(losses: Mapping[str, Tensor], features: Tensor, log_s: Tensor) -> dict[str, Tensor]:
    """Return the guide's share of the loss, of the gradient at the features and of that at the logits of S.

    The names are `guide_loss_share`, `guide_gradient_share` and `guide_importance_share`. A share is the guide's
    absolute value, or its gradient's norm over the batch, divided by the sum of those of guide and cross-entropy.

    Args:
        losses: `cross_entropy` and `guide`, with graphs.
        features: A (B, C, H, W), on which both depend.
        log_s: log S (B, C), on which both depend.
    """
    with full_precision(features):
        sizes = {name: _sizes(loss, features, log_s) for name, loss in losses.items()}
    guide = sizes["guide"]
    shares = guide / (guide + sizes["cross_entropy"])
    names = ("guide_loss_share", "guide_gradient_share", "guide_importance_share")
    return dict(zip(names, shares.nan_to_num().unbind(), strict=True))


def _sizes(loss: Tensor, features: Tensor, log_s: Tensor) -> Tensor:
    """Return (3,): the loss, the norm of its gradient at the features, and that at the logits of S."""
    at_features, at_log_s = torch.autograd.grad(loss, [features, log_s], retain_graph=True)
    at_logits = at_log_s - log_s.detach().exp() * at_log_s.sum(1, keepdim=True)  # through the softmax
    return torch.stack([loss.detach().abs(), at_features.norm(), at_logits.norm()]).float()
