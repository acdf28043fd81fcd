"""Parity of gated attention with its equations."""

import pytest
import torch

from tests.attention.gated.networks import CASES, attention, build, images, randomised
from tests.attention.gated.reference import ByHand


@pytest.mark.parametrize("form", ["pooled", "direct"])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_parity_with_the_equations(case: str, form: str) -> None:
    net = randomised(build(**CASES[case], form=form))
    output = net.output(images())
    expected = ByHand(net, images())
    assert torch.allclose(output.logits, expected.output, atol=1e-10, rtol=1e-10)
    assert torch.allclose(output.extras["gates"], expected.gates, atol=1e-10)
    for stage, point in attention(net).points.items():
        assert torch.allclose(net.maps(output)[point], torch.stack(expected.masks[stage]), atol=1e-10)
