"""Figure 2 as a recursion, every layer by its definition."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.attention.residual.networks import State


def norm_relu(x: Tensor, state: State, name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp_min(0)


def conv(x: Tensor, state: State, name: str) -> Tensor:
    weight = state[f"{name}.weight"]
    size = weight.shape[-1]
    return (weight.flatten(1) @ F.unfold(x, size, padding=size // 2)).reshape(len(x), -1, *x.shape[2:])


def unit(x: Tensor, state: State, name: str) -> Tensor:
    y = x
    for index in (1, 2, 3):
        y = conv(norm_relu(y, state, f"{name}.bn{index}"), state, f"{name}.conv{index}")
    return x + y


def units(x: Tensor, state: State, name: str, number: int) -> Tensor:
    for index in range(number):
        x = unit(x, state, f"{name}.{index}")
    return x


def caffe_pool(x: Tensor) -> Tensor:
    """Caffe's 3x3 pooling with stride 2: output sizes rounded up, windows cut off at the border."""
    height, width = (math.ceil((side - 3) / 2) + 1 for side in x.shape[2:])
    rows = [
        torch.stack([x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].amax((2, 3)) for j in range(width)], -1)
        for i in range(height)
    ]
    return torch.stack(rows, -2)


def lines(small: int, large: int) -> Tensor:
    """Weights (large, small) of linear interpolation with the first and last samples on one another."""
    weights = torch.zeros(large, small, dtype=torch.float64)
    for index in range(large):
        place = index * (small - 1) / (large - 1) if large > 1 else 0.0
        left = min(int(place), small - 1)
        weights[index, left] += 1 - (place - left)
        weights[index, min(left + 1, small - 1)] += place - left
    return weights


def aligned(x: Tensor, size: torch.Size) -> Tensor:
    rows, columns = lines(x.shape[2], size[0]), lines(x.shape[3], size[1])
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


def descend(x: Tensor, state: State, level: int, depth: int, r: int) -> Tensor:
    """The mask branch below a map: pool, r units, and everything deeper."""
    pooled = caffe_pool(x)
    if level == depth:
        return units(pooled, state, f"mask.branch.down.{level - 1}", 2 * r)
    here = units(pooled, state, f"mask.branch.down.{level - 1}", r)
    below = descend(here, state, level + 1, depth, r)
    inner_first = depth - 1 - level
    joint = aligned(below, here.shape[2:]) + unit(here, state, f"mask.branch.skip.{inner_first}")
    return units(joint, state, f"mask.branch.up.{inner_first}", r)


def activate(u: Tensor, activation: str) -> Tensor:
    """Equations 4 to 6, one position or one channel at a time."""
    result = torch.empty_like(u)
    if activation == "channel":
        for i in range(u.shape[2]):
            for j in range(u.shape[3]):
                vector = u[:, :, i, j]
                result[:, :, i, j] = vector / vector.pow(2).sum(1, keepdim=True).sqrt()
        return result
    for b in range(u.shape[0]):
        for c in range(u.shape[1]):
            plane = u[b, c]
            if activation == "spatial":
                mean = plane.sum() / plane.numel()
                plane = (plane - mean) / ((plane - mean).pow(2).sum() / plane.numel() + 1e-5).sqrt()
            result[b, c] = 1 / (1 + torch.exp(-plane))
    return result


def reference(
    x: Tensor, state: State, depth: int, p: int, t: int, r: int, mask: str, activation: str, learning: str
) -> tuple[Tensor, Tensor]:
    x = units(x, state, "pre", p)
    local = mask == "local"
    u = units(x, state, "mask.branch", 3) if local else aligned(descend(x, state, 1, depth, r), x.shape[2:])
    for index in (1, 2):
        u = conv(norm_relu(u, state, f"mask.norm{index}"), state, f"mask.conv{index}")
    m = activate(u, activation)
    trunk = units(x, state, "trunk", t)
    return units(m * trunk if learning == "naive" else (1 + m) * trunk, state, "post", p), m
