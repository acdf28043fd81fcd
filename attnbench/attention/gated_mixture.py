"""Gates over the hypotheses of the gated method, and the mixture under them (eqs. 5 and 6).

Shapes: scores and gates (B, N), hypotheses, which are class scores, (B, N, L). Paper and options: gated.py.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

GateKind = Literal["softmax", "sigmoid"]
Mixture = Literal["log_probabilities", "probabilities", "logits"]


def softmax_gates(scores: Tensor) -> Tensor:
    """Return gates (B, N) that sum to 1 (eq. 5)."""
    return scores.softmax(1)


def sigmoid_gates(scores: Tensor) -> Tensor:
    """Return gates (B, N) that open independently, scaled to a sum of 1 (up to 1e-6, as released)."""
    opened = scores.sigmoid()
    return opened / (1e-6 + opened.sum(1, keepdim=True))


def mix_log_probabilities(hypotheses: Tensor, gates: Tensor) -> Tensor:
    """Return the gate-weighted mean of log-probabilities (B, L), which is not normalised over labels (as released)."""
    return (gates[:, :, None] * hypotheses.log_softmax(-1)).sum(1)


def mix_probabilities(hypotheses: Tensor, gates: Tensor) -> Tensor:
    """Return log-probabilities (B, L) of the mixture of probability vectors."""
    return (gates.log()[:, :, None] + hypotheses.log_softmax(-1)).logsumexp(1)


def mix_logits(hypotheses: Tensor, gates: Tensor) -> Tensor:
    """Return the gate-weighted mean of class scores, logits (B, L)."""
    return (gates[:, :, None] * hypotheses).sum(1)


GATES: dict[GateKind, Callable[[Tensor], Tensor]] = {"softmax": softmax_gates, "sigmoid": sigmoid_gates}
MIXTURES: dict[Mixture, Callable[[Tensor, Tensor], Tensor]] = {
    "log_probabilities": mix_log_probabilities,
    "probabilities": mix_probabilities,
    "logits": mix_logits,
}
