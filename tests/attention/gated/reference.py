"""Gated attention by its equations, one position and one head at a time."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from attnbench.classifier import Classifier
from tests.attention.gated.networks import CLASSES, attention


def trace(net: Classifier, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The maps that the modules read, recomputed from the WRN's own layers: by stage, shared or own BN-ReLU."""
    body: Any = net.backbone
    own = attention(net).tap == "own"
    following = {"stage1": body.stage2.block0.bn1, "stage2": body.stage3.block0.bn1, "stage3": body.bn}
    x = body.stem(x)
    for stage, norm in following.items():
        x = getattr(body, stage)(x)
        if stage in attention(net).points:
            head: Any = attention(net).heads[stage]
            yield stage, normalise(x, head.norm if own else norm).clamp_min(0)
    yield "final", normalise(x, body.bn).clamp_min(0)


def normalise(x: Tensor, layer: Any) -> Tensor:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, variance, weight, bias = (
        v.reshape(shape) for v in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / (variance + layer.eps).sqrt() * weight + bias


def respond(x: Tensor, weight: Tensor) -> Tensor:
    """Convolution (O, C, k, k) over one map (C, H, W), position by position."""
    size, (_, height, width) = weight.shape[-1], x.shape
    around = x.new_zeros(len(x), height + size - 1, width + size - 1)
    edge = size // 2
    around[:, edge : edge + height, edge : edge + width] = x
    result = x.new_zeros(len(weight), height, width)
    for row in range(height):
        for column in range(width):
            result[:, row, column] = (weight * around[:, row : row + size, column : column + size]).sum((1, 2, 3))
    return result


def module_by_hand(x: Tensor, state: dict[str, Tensor], mask: str, gated: bool) -> tuple[Tensor, Tensor]:
    """Hypotheses (1 or K, L) and masks (K, H, W) of one image's map (C, H, W)."""
    found = respond(x, state["mask.weight"])
    heads, positions = len(found), found[0].numel()
    scores, class_maps = [], respond(x, state["scores.weight"])
    masks = torch.stack([m.exp() / m.exp().sum() if mask == "softmax" else 1 / (1 + (-m).exp()) for m in found])
    scale = 1 if mask == "softmax" else positions
    for head in range(heads):
        labels = range(head * CLASSES, (head + 1) * CLASSES)
        scores.append(torch.stack([(class_maps[label] * masks[head]).sum() / scale for label in labels]))
    if not gated:
        return torch.stack(scores), masks
    gate_maps = respond(x, state["gate.weight"])
    raw = [math.exp(math.tanh(float((gate_maps[k] * masks[k]).sum() / scale))) for k in range(heads)]
    joined = sum((raw[k] / sum(raw) * scores[k] for k in range(heads)), torch.zeros(CLASSES, dtype=x.dtype))
    return joined[None], masks


def gates_by_hand(net: Classifier, pooled: Tensor, number: int) -> Tensor:
    """Global gates of one image, from its averaged last map (C,)."""
    options, gate = attention(net), attention(net).gate
    gated = number - (options.net_output == "half")
    if gate is None:
        gates = torch.full((gated,), 1 / gated, dtype=pooled.dtype)
    else:
        state: dict[str, Tensor] = gate.state_dict()
        scores = state["0.weight" if options.gate_norm else "weight"] @ pooled
        if options.gate_norm:
            scores = normalise(scores[None], gate[1])[0]  # type: ignore[index]
        opened = scores.tanh().exp() if options.global_gates == "softmax" else 1 / (1 + (-scores.tanh()).exp())
        gates = opened / (opened.sum() + (1e-6 if options.global_gates == "sigmoid" else 0))
    return torch.cat([gates / 2, gates.new_tensor([0.5])]) if options.net_output == "half" else gates


class ByHand:
    """Hypotheses (B, N, L), gates (B, N), masks by stage and the output (B, L), from the equations."""

    def __init__(self, net: Classifier, x: Tensor) -> None:
        options = attention(net)
        maps = dict(trace(net, x))
        pooled = maps.pop("final").mean((2, 3))
        plain: Tensor = net.backbone.classifier(pooled)
        self.masks: dict[str, list[Tensor]] = {stage: [] for stage in maps}
        hypotheses, gates = [], []
        for image in range(len(x)):
            found = []
            for stage, features in maps.items():
                state = options.heads[stage].state_dict()
                opinions, masks = module_by_hand(features[image], state, options.mask, options.head_gates)
                self.masks[stage].append(masks)
                found += list(opinions)
            if options.net_output != "none":
                found.append(plain[image])
            hypotheses.append(torch.stack(found))
            gates.append(gates_by_hand(net, pooled[image], len(found)))
        self.hypotheses, self.gates = torch.stack(hypotheses), torch.stack(gates)
        probabilities = self.hypotheses.exp() / self.hypotheses.exp().sum(-1, keepdim=True)
        parts = {
            "probabilities": probabilities,
            "log_probabilities": probabilities.log(),
            "logits": self.hypotheses,
        }[options.combine]
        mixed = torch.einsum("bn,bnl->bl", self.gates, parts)
        self.output = mixed.log() if options.combine == "probabilities" else mixed
