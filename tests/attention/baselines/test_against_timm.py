"""Baselines that timm has: names, initial values, outputs and gradients are bit-equal."""

from collections.abc import Callable

import pytest
import torch
from timm.layers.coord_attn import CoordAttn
from timm.layers.create_attn import create_attn
from timm.layers.gather_excite import GatherExcite
from timm.layers.selective_kernel import SelectiveKernel
from torch import nn

from attnbench.attention import CoordinateModule, GatherExciteModule, GCModule, NonLocalModule, SKModule
from tests.attention.timm_parity import assert_same_as_timm

Make = Callable[[], nn.Module]
PAIRS: dict[str, tuple[Make, Make, int]] = {
    "coordinate, 8 hidden channels": (
        lambda: CoordinateModule(64),
        lambda: CoordAttn(64, rd_channels=8, bias=True),
        64,
    ),
    "coordinate, 12 hidden channels": (
        lambda: CoordinateModule(96, 8),
        lambda: CoordAttn(96, rd_channels=12, bias=True),
        96,
    ),
    "gc": (lambda: GCModule(64), lambda: create_attn("gca", 64, rd_ratio=1 / 16, rd_divisor=1), 64),
    "gc, odd channels": (lambda: GCModule(25, 2), lambda: create_attn("gca", 25, rd_ratio=1 / 2, rd_divisor=1), 25),
    "non_local": (
        lambda: NonLocalModule(64),
        lambda: create_attn("nl", 64, use_scale=False, rd_ratio=1 / 2, rd_divisor=1),
        64,
    ),
    "sk": (lambda: SKModule(64, 64), lambda: SelectiveKernel(64, split_input=False, rd_channels=32), 64),
    "sk, groups and stride": (
        lambda: SKModule(16, 64, 2, 4, 1),
        lambda: SelectiveKernel(16, 64, stride=2, groups=4, split_input=False, rd_channels=64),
        16,
    ),
    "gather_excite": (lambda: GatherExciteModule(64), lambda: GatherExcite(64, use_mlp=False), 64),
    "gather_excite, extent 2": (
        lambda: GatherExciteModule(64, extent=2),
        lambda: GatherExcite(64, use_mlp=False, extent=2),
        64,
    ),
    "gather_excite, extent 4": (
        lambda: GatherExciteModule(64, extent=4),
        lambda: GatherExcite(64, use_mlp=False, extent=4),
        64,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_parity_with_timm(name: str) -> None:
    ours, theirs, channels = PAIRS[name]
    torch.manual_seed(1)
    module = ours()
    torch.manual_seed(1)
    assert_same_as_timm(module, theirs(), channels)
