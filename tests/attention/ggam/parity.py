"""GGAM behind small features against the reference, whose gradients are by complex steps."""

from functools import partial
from typing import Any

import numpy as np
import torch

from attnbench.attention.ggam import GGAM
from tests.attention.ggam.networks import LABELS, features_of, ggam
from tests.attention.ggam.reference import (
    Array,
    derivative,
    reference_logits,
    reference_losses,
    reference_weights,
    state_of,
)
from tests.attention.parity.compare import Differences, Row

OPTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "paper, divergence as printed": {"divergence": "literal"},
    "paper, one-way divergence": {"divergence": "one_way"},
    "paper, softmax of the weights": {"squash": "softmax"},
    "paper, guide summed over the batch": {"loss_reduction": "sum"},
    "paper, scale as printed": {"scale": "literal"},
    "paper, descriptor as printed": {"descriptor": "literal"},
    "paper, all scales as printed": {"descriptor": "literal", "scale": "literal", "divergence": "literal"},
    "paper, T by softmax": {"spatial_norm": "softmax"},
    "paper, T by sigmoid, predicted class": {"spatial_norm": "sigmoid", "gradient_class": "predicted"},
    "paper, gradient at D": {"gradient_at": "output"},
    "paper, average pooling, linear head": {"head": "linear", "pooling": "avg"},
    "paper, S alone": {"spatial": False},
    "paper, S alone, scale as printed": {"spatial": False, "scale": "literal"},
    "paper, T alone": {"channel": False, "lambda_": 0.0},
    "paper, neither": {"channel": False, "spatial": False, "lambda_": 0.0},
    "official": {"variant": "official"},
    "official, symmetric divergence": {"variant": "official", "divergence": "symmetric"},
    "official, divergence as printed": {"variant": "official", "divergence": "literal"},
    "official, S of divided features": {"variant": "official", "descriptor": "unit"},
    "official, T by softmax, scale of the features": {
        "variant": "official",
        "spatial_norm": "softmax",
        "scale": "unit",
    },
}
"""Options, by what docs/parity.md calls them."""


def gradients(a: Array, state: dict[str, Array], attention: GGAM, labels: list[int], beta: Array | None) -> list[Array]:
    """Gradients of the whole loss in the features and in each parameter."""

    def loss_of_features(moved: Array) -> Any:
        return sum(reference_losses(moved, state, attention, labels, beta))

    def loss_of_parameter(name: str, moved: Array) -> Any:
        return sum(reference_losses(a, {**state, name: moved}, attention, labels, beta))

    names = [name for name, _ in attention.named_parameters()]
    parameters = (derivative(partial(loss_of_parameter, name), state[name]) for name in names)
    return [derivative(loss_of_features, a), *parameters]


def largest(ours: torch.Tensor, expected: Array) -> float:
    return float(np.abs(ours.detach().numpy() - expected).max())


def measure(options: dict[str, Any], training: bool) -> Differences:
    attention = ggam(**options).train(training)
    state, features, labels = state_of(attention), features_of(), LABELS.tolist()
    a = features.final.detach().numpy()
    logits, beta = reference_logits(a, state, attention), None
    if attention.weight > 0:
        chosen = logits.argmax(1).tolist() if attention.guide.gradient_class == "predicted" else labels
        beta = reference_weights(a, state, attention, chosen)
    losses, slopes = (work(a, state, attention, labels, beta) for work in (reference_losses, gradients))
    output = attention.classify(features, None)
    terms = list(attention.losses(output, LABELS).values())
    found = torch.autograd.grad(torch.stack(terms).sum(), [features.final, *attention.parameters()])
    return Differences(
        largest(output.logits, logits),
        max(largest(one, other) for one, other in zip(found, slopes, strict=True)),
        max(largest(one, other) for one, other in zip(terms, losses, strict=True)),
    )


def source(options: dict[str, Any]) -> str:
    return "released code's facts" if options.get("variant") == "official" else "equations"


ROWS = [Row("ggam", title, source(options), partial(measure, options)) for title, options in OPTIONS.items()]
