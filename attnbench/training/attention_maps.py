"""A network's attention maps for a few images, computed without leaving traces in the network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnbench.classifier import Network


@contextmanager
def undisturbed(net: nn.Module) -> Iterator[None]:
    """Evaluate a network without leaving traces: its mode, its gradients and what requires them are restored."""
    modes = {module: module.training for module in net.modules()}
    kept = [(parameter, parameter.requires_grad, parameter.grad) for parameter in net.parameters()]
    for parameter, _, _ in kept:
        parameter.requires_grad_(False)
        parameter.grad = None
    net.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter, required, gradient in kept:
            parameter.requires_grad_(required)
            parameter.grad = gradient


def attention_maps(net: Network, images: Tensor) -> dict[str, Tensor]:
    """Return the attention maps (B, K, h, w) of normalised images (B, C, H, W) by name, on the CPU."""
    with undisturbed(net):
        # a map may be made of the gradient of a class score
        output = net.output(images.to(next(net.parameters()).device, copy=True).requires_grad_())
        return {name: values.detach().float().cpu() for name, values in net.maps(output).items()}
