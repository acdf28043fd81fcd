"""The baselines by their papers' equations, as functions of a module's parameters and a map x (B, C, H, W)."""

import torch
from torch import Tensor

from tests.attention.parity.layers import Layers, probabilities, sigmoid


def coordinate(layers: Layers, x: Tensor) -> Tensor:
    """Equations 4 to 9."""
    height = x.shape[2]
    f = layers.norm(layers.convolve(torch.cat([x.mean(3), x.mean(2)], 2)[..., None], "conv1"), "bn1")
    f = f * (f + 3).clamp(0, 6) / 6
    rows = sigmoid(layers.convolve(f[:, :, :height], "conv_h"))[..., 0]
    columns = sigmoid(layers.convolve(f[:, :, height:], "conv_w"))[..., 0]
    return torch.einsum("bcij,bci,bcj->bcij", x, rows, columns)


def simam(layers: Layers, x: Tensor, lambda_: float = 1e-4) -> Tensor:
    """Equations 5 and 6."""
    del layers
    mean = x.flatten(2).mean(2)[:, :, None, None]
    variance = x.flatten(2).var(2, correction=1)[:, :, None, None]
    energy = 4 * (variance + lambda_) / ((x - mean) ** 2 + 2 * variance + 2 * lambda_)
    return sigmoid(1 / energy) * x


def triplet(layers: Layers, x: Tensor) -> Tensor:
    """Equations 1, 3 and 4, with maps that are turned."""

    def branch(turned: Tensor, name: str) -> Tensor:
        pooled = torch.stack([turned.max(1).values, turned.mean(1)], 1)
        return turned * sigmoid(layers.norm(layers.convolve(pooled, f"{name}.conv"), f"{name}.bn"))

    height_first = branch(x.permute(0, 2, 1, 3), "cw").permute(0, 2, 1, 3)
    width_first = branch(x.permute(0, 3, 2, 1), "hc").permute(0, 3, 2, 1)
    return (height_first + width_first + branch(x, "hw")) / 3


def gct(layers: Layers, x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Equations 2, 4 and 5; epsilon is added to the mean of the squares."""
    alpha, gamma, beta = (layers.values[name] for name in ("alpha", "gamma", "beta"))
    s = alpha * ((x**2).flatten(2).sum(2) + epsilon) ** 0.5
    normalised = s / ((s**2).sum(1, keepdim=True) / s.shape[1] + epsilon) ** 0.5
    return x * (1 + torch.tanh(gamma * normalised + beta))[:, :, None, None]


def windows_mean(x: Tensor, extent: int) -> Tensor:
    """Average the pixels less than e away from every e-th pixel."""

    def around(length: int) -> list[slice]:
        return [slice(max(0, at - extent + 1), at + extent) for at in range(0, length, extent)]

    rows = [torch.stack([x[:, :, i, j].mean((2, 3)) for j in around(x.shape[3])], 2) for i in around(x.shape[2])]
    return torch.stack(rows, 2)


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Resize by nearest neighbours."""
    rows = [i * x.shape[2] // height for i in range(height)]
    columns = [j * x.shape[3] // width for j in range(width)]
    return x[:, :, rows][:, :, :, columns]


def gather_excite(layers: Layers, x: Tensor, parameters: str = "none", extent: int = 0) -> Tensor:
    """Gather and excite, section 3."""
    gathered = x
    if parameters == "none":
        gathered = x.mean((2, 3), keepdim=True) if extent == 0 else windows_mean(x, extent)
    else:
        for number in range(1, {2: 1, 4: 2, 8: 3}[extent] + 1):
            gathered = gathered if number == 1 else gathered.clamp_min(0)
            gathered = layers.convolve(gathered, f"gather.conv{number}", stride=2)
            gathered = layers.norm(gathered, f"gather.norm{number}")
    if parameters == "both":
        gathered = layers.convolve(gathered.clamp_min(0), "excite.0").clamp_min(0)
        gathered = layers.convolve(gathered, "excite.2")
    return x * sigmoid(resize(gathered, *x.shape[2:]))


def global_context(layers: Layers, x: Tensor) -> Tensor:
    """Equation 5."""
    weights = probabilities(layers.convolve(x, "conv_attn").flatten(2))
    context = torch.einsum("bcj,bj->bc", x.flatten(2), weights[:, 0])
    hidden = layers.convolve(context[:, :, None, None], "mlp_add.fc1")[:, :, 0, 0]
    centred = hidden - hidden.mean(1, keepdim=True)
    hidden = centred / ((centred**2).mean(1, keepdim=True) + 1e-6) ** 0.5
    hidden = hidden * layers.values["mlp_add.norm.weight"] + layers.values["mlp_add.norm.bias"]
    return x + layers.convolve(hidden.clamp_min(0)[:, :, None, None], "mlp_add.fc2")


def non_local(layers: Layers, x: Tensor) -> Tensor:
    """Equations 1 to 6, the embedded Gaussian."""
    theta, phi, g = (layers.convolve(x, name).flatten(2) for name in ("t", "p", "g"))
    weights = probabilities(torch.einsum("bci,bcj->bij", theta, phi))
    y = torch.einsum("bij,bcj->bci", weights, g).reshape(len(x), -1, *x.shape[2:])
    return layers.norm(layers.convolve(y, "z"), "norm") + x


def sk(layers: Layers, x: Tensor) -> Tensor:
    """Equations 1 to 6."""
    branches = [
        layers.norm_relu(layers.convolve(x, f"paths.{k}.conv", dilation=k + 1), f"paths.{k}.bn") for k in (0, 1)
    ]
    s = (branches[0] + branches[1]).mean((2, 3), keepdim=True)
    z = layers.norm_relu(layers.convolve(s, "attn.fc_reduce"), "attn.bn")
    scores = layers.convolve(z, "attn.fc_select").reshape(len(x), 2, -1)
    weights = probabilities(scores.transpose(1, 2))[..., None, None]
    return sum((weights[:, :, k] * branches[k] for k in (0, 1)), torch.zeros_like(x))
