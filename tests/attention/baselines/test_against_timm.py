"""Baselines that timm has: names, initial values, outputs and gradients are bit-equal."""

import pytest
import torch

from attnbench.bench.modules import timm_pairs
from tests.attention.timm_parity import assert_same_as_timm

PAIRS = timm_pairs()


@pytest.mark.parametrize("name", PAIRS)
def test_parity_with_timm(name: str) -> None:
    ours, theirs, channels = PAIRS[name]
    torch.manual_seed(1)
    module = ours()
    torch.manual_seed(1)
    assert_same_as_timm(module, theirs(), channels)
