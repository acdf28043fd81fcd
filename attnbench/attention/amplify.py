"""The product x * (1 + gate), by which several attentions refine a map, with a gradient of its own."""

from typing import Any

import torch
from torch import Tensor


class _Amplify(torch.autograd.Function):
    """Computes x + x * gate in one pass over memory, and its gradient without keeping 1 + gate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor) -> Tensor:
        ctx.save_for_backward(x, gate)
        return torch.addcmul(x, x, gate)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,), (x, gate) = grads, ctx.saved_tensors
        return torch.addcmul(grad, grad, gate), grad * x  # autograd sums over what the gate was broadcast


def amplify(x: Tensor, gate: Tensor) -> Tensor:
    """Return x * (1 + gate) for a map x (B, C, H, W) and a gate that broadcasts to it."""
    result: Tensor = _Amplify.apply(x, gate)
    return result
