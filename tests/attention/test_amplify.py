"""The product x * (1 + gate), and its gradients."""

import pytest
import torch

from attnbench.attention.amplify import amplify


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 1, 1), (2, 1, 4, 5)], ids=["full", "channels", "positions"])
def test_values_and_gradients_of_both_orders_are_those_of_the_product(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator).requires_grad_()
    gate = torch.rand(shape, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.allclose(amplify(x, gate), x * (1 + gate), rtol=1e-15)
    assert torch.autograd.gradcheck(amplify, (x, gate))
    assert torch.autograd.gradgradcheck(amplify, (x, gate))


def test_each_gradient_has_the_type_of_its_input() -> None:
    x, gate = torch.randn(2, 3, 4, 4, requires_grad=True), torch.rand(2, 3, 4, 4).bfloat16().requires_grad_()
    amplify(x, gate).sum().backward()
    assert x.grad is not None and gate.grad is not None
    assert (x.grad.dtype, gate.grad.dtype) == (torch.float32, torch.bfloat16)
