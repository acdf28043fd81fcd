"""GGAM's equations in numpy.

All steps are analytic, so that a step of 1e-30 along the imaginary axis gives derivatives that are exact to rounding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from attnbench.attention.ggam import GGAM

Array = npt.NDArray[Any]
STEP = 1e-30


def positive_part(v: Array) -> Array:
    return np.where(v.real > 0, v, 0)


def reference_importance(a: Array, state: dict[str, Array], attention: GGAM) -> Array:
    channels, height, width = a.shape
    pooled = a.reshape(channels, -1).sum(1) / (height * width)
    if attention.descriptor == "unit":
        pooled = pooled / np.sqrt((pooled**2).sum() + 1e-5)
    hidden = positive_part(state["excite.reduce.weight"] @ pooled + state["excite.reduce.bias"])
    grown = np.exp(state["excite.expand.weight"] @ hidden + state["excite.expand.bias"])
    return np.asarray(grown / grown.sum())


def reference_attended(a: Array, state: dict[str, Array], attention: GGAM) -> tuple[Array, Array]:
    """D and T of one sample; T is ones where there is none. With `scale=unit`, what sums to 1 is made to average 1."""
    channels, height, width = a.shape
    unit = attention.scale == "unit"
    importance = reference_importance(a, state, attention) if attention.channel else np.full(channels, 1 / channels)
    if not attention.spatial:
        factor = channels if unit else 1
        scaled = [factor * a[c] * importance[c] for c in range(channels)] if attention.channel else list(a)
        return np.stack(scaled), np.ones((height, width))
    t = sum((importance[c] * a[c] for c in range(channels)), np.zeros((height, width)))
    if attention.spatial_norm == "sum":
        t = t / t.sum()
    elif attention.spatial_norm == "softmax":
        t = np.exp(t) / np.exp(t).sum()
    else:
        t = 1 / (1 + np.exp(-t))
    factor = height * width if unit and attention.spatial_norm != "sigmoid" else 1
    return np.stack([factor * a[c] * t for c in range(channels)]), t


def reference_head(d: Array, state: dict[str, Array], attention: GGAM) -> Array:
    """Logits of all samples; the batch matters, for batch normalisation."""
    flat = d.reshape(*d.shape[:2], -1)
    if attention.pooling == "max":
        pooled = np.array([[row[np.argmax(row.real)] for row in sample] for sample in flat])
    else:
        pooled = flat.sum(-1) / flat.shape[-1]
    if attention.head_kind == "linear":
        return np.asarray(pooled @ state["head.weight"].T + state["head.bias"])

    def norm(v: Array, name: str) -> Array:
        if attention.training:
            mean = v.sum(0) / len(v)
            variance = ((v - mean) ** 2).sum(0) / len(v)
        else:
            mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return np.asarray((v - mean) / np.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"])

    hidden = norm(pooled, "head.norm") @ state["head.hidden.weight"].T + state["head.hidden.bias"]
    hidden = norm(hidden, "head.hidden_norm")
    hidden = np.where(hidden.real > 0, hidden, np.exp(hidden) - 1)
    return np.asarray(hidden @ state["head.classify.weight"].T + state["head.classify.bias"])


def reference_logits(a: Array, state: dict[str, Array], attention: GGAM) -> Array:
    return reference_head(np.stack([reference_attended(x, state, attention)[0] for x in a]), state, attention)


def derivative(function: Callable[[Array], Any], at: Array) -> Array:
    """Derivative of a real function by complex steps, one for each number of `at`."""
    result = np.zeros(at.shape)
    moved = at.astype(complex)
    for index in np.ndindex(*at.shape):
        moved[index] += STEP * 1j
        result[index] = function(moved).imag / STEP
        moved[index] = at[index]
    return result


def reference_weights(a: Array, state: dict[str, Array], attention: GGAM, labels: list[int]) -> Array:
    """beta (B, C): the derivative of the labels' scores at the features, or at D."""
    at_output = attention.gradient_at == "output"
    site = np.stack([reference_attended(x, state, attention)[0] for x in a]) if at_output else a
    logits = reference_head if at_output else reference_logits

    def score(x: Array) -> Any:
        return logits(x, state, attention)[np.arange(len(labels)), labels].sum()

    return np.asarray(derivative(score, site).mean((2, 3)))


def reference_distance(s: Array, beta: Array, squash: str, divergence: str, loss_reduction: str) -> Any:
    """The guide of importances and weights (B, C), sample by sample."""
    distances = []
    for row, weights in zip(s, beta, strict=True):
        w = 1 / (1 + np.exp(-weights)) if squash == "sigmoid" else np.exp(weights) / np.exp(weights).sum()
        if divergence != "literal":
            w = w / w.sum()
        forth, back = (row * np.log(row / w)).sum(), (w * np.log(w / row)).sum()
        distances.append(forth if divergence == "one_way" else (forth + back) / 2)
    return sum(distances) / (len(distances) if loss_reduction == "mean" else 1)


def reference_losses(
    a: Array, state: dict[str, Array], attention: GGAM, labels: list[int], beta: Array | None
) -> list[Any]:
    """Cross-entropy and, where there are weights beta, which stay as they are, the guide times lambda."""
    logits = reference_logits(a, state, attention)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    cross_entropy = -np.log(probabilities[np.arange(len(labels)), labels]).sum() / len(labels)
    if beta is None:
        return [cross_entropy]
    s, guide = np.stack([reference_importance(sample, state, attention) for sample in a]), attention.guide
    distance = reference_distance(s, beta, guide.squash, guide.divergence, guide.loss_reduction)
    return [cross_entropy, attention.weight * distance]


def state_of(attention: GGAM) -> dict[str, Array]:
    return {name: tensor.clone().numpy() for name, tensor in attention.state_dict().items()}
