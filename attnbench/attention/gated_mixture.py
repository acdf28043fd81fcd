"""How the gated method makes one prediction of several hypotheses: gates, and the mixture under them.

Shapes: scores and gates (B, N), hypotheses, which are class scores, (B, N, L). Paper and options: gated.py.
"""

from collections.abc import Callable

from torch import Tensor


def softmax_gates(scores: Tensor) -> Tensor:
    """Gates (B, N) that sum to 1."""
    return scores.softmax(1)


def sigmoid_gates(scores: Tensor) -> Tensor:
    """Gates (B, N) that each open on their own, scaled to a sum of 1 (but for 1e-6, as released)."""
    opened = scores.sigmoid()
    return opened / (1e-6 + opened.sum(1, keepdim=True))


def mix_log_probabilities(hypotheses: Tensor, gates: Tensor) -> Tensor:
    """(B, N, L) under gates (B, N) to logarithms (B, L) that are not normalised."""
    return (gates[:, :, None] * hypotheses.log_softmax(-1)).sum(1)


def mix_probabilities(hypotheses: Tensor, gates: Tensor) -> Tensor:
    """(B, N, L) under gates (B, N) to log-probabilities (B, L) of the mixture."""
    return (gates.log()[:, :, None] + hypotheses.log_softmax(-1)).logsumexp(1)


def mix_logits(hypotheses: Tensor, gates: Tensor) -> Tensor:
    """(B, N, L) under gates (B, N) to logits (B, L)."""
    return (gates[:, :, None] * hypotheses).sum(1)


GATES: dict[str, Callable[[Tensor], Tensor]] = {"softmax": softmax_gates, "sigmoid": sigmoid_gates}
MIXTURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "log_probabilities": mix_log_probabilities,
    "probabilities": mix_probabilities,
    "logits": mix_logits,
}
