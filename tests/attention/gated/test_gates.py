"""Masks, gates and mixtures of gated attention: bounds and sums."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.attention.base import Attention
from attnbench.attention.gated_heads import (
    GatedAttentionModule,
    Kernel,
    Mask,
)
from attnbench.attention.gated_mixture import mix_probabilities
from attnbench.classifier import Classifier
from tests.attention.gated.networks import CLASSES, attention, backbone, build, images, total


@settings(max_examples=25)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    batch=st.integers(1, 3),
    heads=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    mask=st.sampled_from(["softmax", "sigmoid"]),
    gated=st.booleans(),
    scale=st.floats(0.01, 100),
)
def test_masks_and_gates_of_heads(
    height: int, width: int, batch: int, heads: int, kernel: Kernel, mask: Mask, gated: bool, scale: float
) -> None:
    torch.manual_seed(0)
    module = GatedAttentionModule(6, CLASSES, heads, kernel, mask, gated, norm=False, form="pooled")
    opinion = module(scale * torch.randn(batch, 6, height, width))
    assert opinion.masks.shape == (batch, heads, height, width)
    assert opinion.hypotheses.shape == (batch, 1 if gated else heads, CLASSES)
    sums = opinion.masks.sum((2, 3))
    assert opinion.masks.min() >= 0
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5) if mask == "softmax" else sums.max() <= 1 + 1e-5
    if gated:
        assert torch.allclose(opinion.gates.sum(1), torch.ones(batch), atol=1e-5)
        assert opinion.gates.min() >= bounds(heads)[0] - 1e-6
        assert opinion.gates.max() <= bounds(heads)[1] + 1e-6


def bounds(number: int) -> tuple[float, float]:
    """Least and greatest gate of a softmax over `number` scores in [-1, 1]."""
    low, high = math.exp(-1), math.e
    return low / (low + (number - 1) * high), high / (high + (number - 1) * low)


@pytest.mark.parametrize(("number", "low", "high"), [(2, 0.119, 0.881), (3, 0.063, 0.787), (4, 0.043, 0.711)])
def test_global_gates_reach_their_bounds_and_no_further(number: int, low: float, high: float) -> None:
    assert bounds(number) == pytest.approx((low, high), abs=5e-4)
    net = build(depth=number - 1).eval()
    gate = attention(net).gate
    assert isinstance(gate, torch.nn.Linear)
    with torch.no_grad():
        gate.weight.fill_(-1e3)
        gate.weight[0] = 1e3
    gates = net.output(images(dtype=torch.float32)).extras["gates"]
    assert gates[:, 0].tolist() == pytest.approx([high] * 2, abs=5e-4)
    assert torch.allclose(gates.sum(1), torch.ones(2))
    with torch.no_grad():
        gate.weight.neg_()
    assert net.output(images(dtype=torch.float32)).extras["gates"].min().item() == pytest.approx(low, abs=5e-4)


@pytest.mark.parametrize("combine", ["log_probabilities", "probabilities", "logits"])
def test_fixed_gates_give_the_plain_net(combine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(combine=combine).eval()
    monkeypatch.setattr(net.attention, "gates", lambda *_: torch.tensor([[0.0, 0, 0, 1]]).expand(2, 4))
    torch.manual_seed(0)
    plain = Classifier(backbone(), Attention()).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    expected = plain(images(dtype=torch.float32))
    expected = expected if combine == "logits" else expected.log_softmax(1)
    assert torch.allclose(net(images(dtype=torch.float32)), expected, atol=1e-6)


@given(st.integers(2, 6), st.integers(1, 3), st.floats(0.1, 1e4))
@settings(max_examples=20)
def test_a_mixture_of_probabilities_is_one(number: int, batch: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(number)
    hypotheses = scale * torch.randn(batch, number, CLASSES, generator=generator)
    mixed = mix_probabilities(hypotheses, torch.randn(batch, number, generator=generator).softmax(1))
    assert mixed.isfinite().all()
    assert torch.allclose(mixed.exp().sum(1), torch.ones(batch), atol=1e-4)


def test_a_single_head_has_a_gate_of_one() -> None:
    net = build(width=1)
    output = net.output(images(dtype=torch.float32))
    total(net, output).backward()
    assert all(torch.equal(output.extras[f"head_gates/{p}"], torch.ones(2, 1)) for p in attention(net).points.values())
    gradients = [
        p.grad for name, p in net.attention.named_parameters() if name.endswith("gate.weight") and "heads" in name
    ]
    assert len(gradients) == 3
    assert all(g is not None and not g.any() for g in gradients)
