"""Layers by their definitions, as functions of a network's parameters and running statistics."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Values = Mapping[str, Tensor]


def values_of(net: nn.Module) -> dict[str, Tensor]:
    """Return a network's own parameters, which gradients reach, and buffers, by name."""
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}


def log_probabilities(scores: Tensor) -> Tensor:
    """Return the logarithm of the softmax of (..., L) over the last axis."""
    shifted = scores - scores.detach().amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def probabilities(scores: Tensor) -> Tensor:
    return log_probabilities(scores).exp()


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def negative_likelihood(logarithms: Tensor, target: Tensor) -> Tensor:
    """Return the mean negative log-probability (B, L) of the targets."""
    chosen = [logarithms[image, label] for image, label in enumerate(target.tolist())]
    return -torch.stack(chosen).sum() / len(chosen)


class Layers:
    """Layers of a network.

    Args:
        values: Parameters and running statistics, by name.
        training: Whether batch normalisation takes the batch's own moments.
    """

    def __init__(self, values: Values, training: bool = False) -> None:
        self.values, self.training = values, training

    def norm(self, x: Tensor, name: str) -> Tensor:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        if self.training:
            mean = x.mean(axes)
            variance = (x - mean.reshape(shape)).square().mean(axes)
        else:
            mean, variance = self.values[f"{name}.running_mean"], self.values[f"{name}.running_var"]
        weight, bias = self.values[f"{name}.weight"], self.values[f"{name}.bias"]
        scaled = (x - mean.reshape(shape)) * (variance + 1e-5).rsqrt().reshape(shape)
        return scaled * weight.reshape(shape) + bias.reshape(shape)

    def norm_relu(self, x: Tensor, name: str) -> Tensor:
        return self.norm(x, name).clamp_min(0)

    def convolve(self, x: Tensor, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
        """Convolve by matrix products over the windows of each position; the weight's shape gives the groups."""
        weight, bias = self.values[f"{name}.weight"], self.values.get(f"{name}.bias")
        size, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        padding = dilation * (size // 2)
        windows = F.unfold(x, size, dilation=dilation, padding=padding, stride=stride).unflatten(1, (groups, -1))
        filters = weight.flatten(1).unflatten(0, (groups, -1))
        side = [(length - 1) // stride + 1 for length in x.shape[2:]]
        result = (filters @ windows).flatten(1, 2).unflatten(2, side)
        return result if bias is None else result + bias[:, None, None]

    def dense(self, x: Tensor, name: str) -> Tensor:
        result = x @ self.values[f"{name}.weight"].T
        bias = self.values.get(f"{name}.bias")
        return result if bias is None else result + bias


def caffe_pool(x: Tensor) -> Tensor:
    """Caffe's 3x3 pooling with stride 2: output sizes rounded up, windows cut off at the border."""
    height, width = x.shape[2:]
    filled = F.pad(x, (0, 1 - width % 2, 0, 1 - height % 2), value=-torch.inf)
    return filled.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
