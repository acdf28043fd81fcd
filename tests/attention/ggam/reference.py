"""GGAM's equations sample by sample and position by position, in numpy.

All steps are analytic, so that a step of 1e-30 along the imaginary axis gives derivatives that are exact to rounding.
"""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from attnbench.attention.ggam import GGAM

Array = npt.NDArray[Any]


def positive_part(v: Array) -> Array:
    return np.where(v.real > 0, v, 0)


def reference_importance(a: Array, state: dict[str, Array], attention: GGAM) -> Array:
    channels, height, width = a.shape
    pooled = np.array([sum(a[c, i, j] for i in range(height) for j in range(width)) for c in range(channels)])
    pooled = pooled / (height * width)
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
    t = np.zeros((height, width), dtype=a.dtype)
    for i, j in itertools.product(range(height), range(width)):
        t[i, j] = sum(importance[c] * a[c, i, j] for c in range(channels))
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


def reference_weights(a: Array, state: dict[str, Array], attention: GGAM, labels: list[int]) -> Array:
    """beta (B, C): one complex step for every number of the map that the gradient is taken at."""
    at_output = attention.gradient_at == "output"
    site = np.stack([reference_attended(x, state, attention)[0] for x in a]) if at_output else a
    logits = reference_head if at_output else reference_logits
    gradient = np.zeros(site.shape)
    for index in np.ndindex(*site.shape):
        moved = site.astype(complex)
        moved[index] += 1e-30j
        scores = logits(moved, state, attention)
        gradient[index] = sum(scores[b, label] for b, label in enumerate(labels)).imag / 1e-30
    return np.asarray(gradient.mean((2, 3)))


def reference_distance(s: Array, beta: Array, squash: str, divergence: str, loss_reduction: str) -> float:
    """The guide of importances and weights (B, C), term by term."""
    distances = []
    for row, weights in zip(s.tolist(), beta.tolist(), strict=True):
        if squash == "sigmoid":
            w = [1 / (1 + math.exp(-value)) for value in weights]
        else:
            w = [math.exp(value) / sum(math.exp(other) for other in weights) for value in weights]
        if divergence != "literal":
            w = [value / sum(w) for value in w]
        forth = sum(p * math.log(p / q) for p, q in zip(row, w, strict=True))
        back = sum(q * math.log(q / p) for p, q in zip(row, w, strict=True))
        distances.append(forth if divergence == "one_way" else (forth + back) / 2)
    return sum(distances) / (len(distances) if loss_reduction == "mean" else 1)


def state_of(attention: GGAM) -> dict[str, Array]:
    return {name: tensor.clone().numpy() for name, tensor in attention.state_dict().items()}
