"""The guide, the importances and the maps of GGAM: divergences, sums, signs."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.attention.ggam_guide import Divergence, Guide, Squash
from attnbench.attention.ggam_modules import Excitation, quotient, softmax_2d
from tests.attention.ggam.networks import (
    CHANNELS,
)

distributions = st.lists(st.floats(-6, 6), min_size=2, max_size=9)


@given(distributions, st.integers(0, 2**32 - 1), st.sampled_from(["sigmoid", "softmax"]))
def test_the_literal_formula_is_a_divergence_plus_an_offset(logits: list[float], seed: int, squash: Squash) -> None:
    log_s = torch.tensor([logits], dtype=torch.float64).log_softmax(1)
    beta = torch.randn(log_s.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    names: tuple[Divergence, ...] = ("symmetric", "literal", "one_way")
    found = {name: Guide("truth", squash, name, "mean", "none", False).distance(log_s, beta).item() for name in names}
    w = torch.sigmoid(beta) if squash == "sigmoid" else beta.softmax(1)
    mass = w.sum().item()
    log_p = (w / mass).log()
    forth, back = F.kl_div(log_p, log_s.exp(), reduction="sum"), F.kl_div(log_s, log_p.exp(), reduction="sum")
    assert found["one_way"] == pytest.approx(forth.item(), abs=1e-9)
    assert found["symmetric"] == pytest.approx((forth + back).item() / 2, abs=1e-9)
    offset = (mass - 1) * math.log(mass) / 2
    assert found["literal"] == pytest.approx((forth + mass * back).item() / 2 + offset, abs=1e-9)
    assert found["symmetric"] >= 0
    assert found["one_way"] >= -1e-12


@given(st.lists(st.floats(-6, 6), min_size=2, max_size=9), st.sampled_from(["symmetric", "one_way"]))
def test_a_divergence_is_zero_where_the_importances_are_the_weights(beta: list[float], divergence: Divergence) -> None:
    guide = Guide("truth", "sigmoid", divergence, "sum", "none", False)
    weights = torch.tensor([beta], dtype=torch.float64)
    w = torch.sigmoid(weights)
    log_s = (w / w.sum()).log()
    assert abs(guide.distance(log_s, weights).item()) < 1e-12
    other = (log_s + torch.linspace(0, 1, log_s.shape[1], dtype=torch.float64)).log_softmax(1)
    assert guide.distance(other, weights).item() > 1e-4


@settings(max_examples=30)
@given(
    height=st.integers(1, 14), width=st.integers(1, 14), batch=st.integers(1, 3), scale=st.sampled_from([1e-6, 1, 1e3])
)
def test_importances_and_maps_sum_to_one(height: int, width: int, batch: int, scale: float) -> None:
    x = torch.rand(batch, CHANNELS, height, width) * scale
    log_s = Excitation(CHANNELS, 3)(x)
    assert torch.allclose(log_s.exp().sum(1), torch.ones(batch), atol=1e-5)
    for norm in (quotient, softmax_2d):
        t = norm(x.mean(1, keepdim=True))
        assert t.min() >= 0
        assert torch.allclose(t.sum((1, 2, 3)), torch.ones(batch), atol=1e-4)


def test_negative_sums_count_as_zero_and_zeros_stay() -> None:
    x = torch.tensor([[[[3.0, -5.0], [1.0, 0.0]]], [[[0.0, -1.0], [0.0, 0.0]]]])
    assert quotient(x).flatten(1).tolist() == [[0.75, 0, 0.25, 0], [0, 0, 0, 0]]
