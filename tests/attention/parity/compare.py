"""A network against a reference in double precision: outputs, gradients and losses."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attnbench.classifier import Classifier

TOLERANCE = 1e-10
"""Largest difference that is rounding."""
Losses = list[Tensor]
Reference = Callable[[Tensor, Tensor], tuple[Tensor, Losses]]
"""(images, target) -> output (B, L) and the weighted terms of the loss, in the order of the network's."""


class Differences(NamedTuple):
    """Largest absolute differences from the reference."""

    outputs: float
    gradients: float
    losses: float


class Row(NamedTuple):
    """A line of the table in docs/parity.md.

    Attributes:
        method: Value of the option `attention`.
        variant: The options, and the network where it is not the method's usual one.
        reference: Source of the reference.
        measure: Compares, in training if True, else in evaluation.
        slow: Modes, in training or not, in which it takes several seconds.
    """

    method: str
    variant: str
    reference: str
    measure: Callable[[bool], Differences]
    slow: tuple[bool, ...] = ()


def largest(ours: list[Tensor], others: list[Tensor]) -> float:
    """Return the largest absolute difference of two lists of tensors of the same shapes."""
    assert all(one.shape == other.shape for one, other in zip(ours, others, strict=True))
    return max((one - other).abs().max().item() for one, other in zip(ours, others, strict=True))


def randomise(net: nn.Module, images: Tensor) -> None:
    """Convert to double precision, with affine parameters and running statistics that do something.

    The statistics are near those of the images, so that the features of deep networks stay of one size in evaluation.
    """
    generator = torch.Generator().manual_seed(0)

    def around_one(tensor: Tensor) -> Tensor:
        return torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5

    for tensor in net.double().state_dict().values():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.copy_(around_one(tensor))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        net.train()(images)
    for name, tensor in net.state_dict().items():
        if "running" in name:
            tensor.mul_(around_one(tensor))


def compare(net: Classifier, images: Tensor, target: Tensor, reference: Reference) -> Differences:
    """Compare outputs, all gradients of the whole loss (of parameters and images), and the terms of the loss."""
    images = images.requires_grad_()
    sources = [images, *net.parameters()]
    torch.manual_seed(1)  # for dropout
    expected, terms = reference(images, target)
    slopes = torch.autograd.grad(torch.stack(terms).sum(), sources)
    torch.manual_seed(1)
    output = net.output(images)
    losses = list(net.losses(output, target).values())
    found = torch.autograd.grad(torch.stack(losses).sum(), sources)
    return Differences(largest([output.logits], [expected]), largest(list(found), list(slopes)), largest(losses, terms))
