"""Modules that are used alone, in any network: the defaults of their papers, and the values that they reject."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from attnbench.attention import (
    BAMModule,
    CBAMModule,
    CoordinateModule,
    GatedAttentionModule,
    GatherExciteModule,
    GCModule,
    NonLocalModule,
    ResidualAttentionModule,
    SEModule,
    SimAMModule,
    SKModule,
)
from attnbench.errors import OptionError

C = 320
"""Channels of which every reduction has a hidden layer of its own size."""
HIDDEN = {
    "bam": (BAMModule(C), "channel.reduce", 20),
    "bam, spatial": (BAMModule(C), "spatial.reduce", 20),
    "cbam": (CBAMModule(C), "channel.fc1", 20),
    "coordinate": (CoordinateModule(C), "conv1", 10),
    "gather_excite": (GatherExciteModule(C, "both", 2), "excite.0", 20),
    "gc": (GCModule(C), "mlp_add.fc1", 20),
    "non_local": (NonLocalModule(C), "t", 160),
    "se": (SEModule(C), "fc1", 20),
    "sk": (SKModule(8, 1024), "attn.fc_reduce", 64),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_layers_have_the_papers_size(name: str) -> None:
    module, path, hidden = HIDDEN[name]
    assert len(module.get_submodule(path).get_parameter("weight")) == hidden


def test_other_defaults_are_the_papers() -> None:
    dilated = BAMModule(C).get_submodule("spatial.dilate0")
    assert isinstance(dilated, nn.Conv2d)
    assert dilated.dilation == (4, 4)
    heads = GatedAttentionModule(8, 10)
    assert (heads.mask.out_channels, heads.mask.kernel_size, heads.norm) == (4, (1, 1), None)
    assert heads.gate is not None
    module = ResidualAttentionModule(nn.Identity, 8)
    assert isinstance(module.norm, nn.Identity)
    runs = ["pre", "trunk", "post", *(f"mask.branch.{run}" for run in ("down.0", "down.1", "down.2", "up.0", "up.1"))]
    blocks = [len([*module.get_submodule(run).children()]) for run in runs]
    assert blocks == [1, 2, 1, 1, 1, 2, 1, 1]  # p, t, p; r, r, 2r down and r, r up


residual = partial(ResidualAttentionModule, nn.Identity, 8)
REJECTED: list[tuple[Callable[..., nn.Module], tuple[object, ...], str, object]] = [
    (CoordinateModule, (32,), "reduction", 0),
    (GatherExciteModule, (32,), "reduction", 0),
    (SKModule, (32, 32), "reduction", 0),
    (SimAMModule, (), "e_lambda", 0.0),
    (GatedAttentionModule, (8, 10), "width", 0),
    (GatedAttentionModule, (8, 10), "kernel", 5),
    (GatedAttentionModule, (8, 10), "mask", "relu"),
    (GatedAttentionModule, (8, 10), "form", "slow"),
    (GatedAttentionModule, (8, 10), "combine", "mean"),
    *((residual, (), key, 0) for key in ("p", "t", "r", "mask_depth")),
    *((residual, (), key, "other") for key in ("mask", "activation", "learning", "sum_norm")),
]


@pytest.mark.parametrize(("make", "arguments", "key", "value"), REJECTED)
def test_values_that_make_no_sense_are_rejected(
    make: Callable[..., nn.Module], arguments: tuple[object, ...], key: str, value: object
) -> None:
    with pytest.raises(OptionError) as caught:
        make(*arguments, **{key: value})
    assert caught.value.key == key


@torch.no_grad()
def test_a_module_of_one_block_a_branch_takes_the_smallest_number() -> None:
    x = torch.randn(1, 8, 5, 4)
    assert residual(p=1, t=1, r=1, mask_depth=1)(x).features.shape == x.shape
    assert GatedAttentionModule(8, 10, width=1)(x).hypotheses.shape == (1, 1, 10)
    assert SKModule(8, 8, reduction=1)(x).shape == x.shape
    assert CoordinateModule(8, reduction=1).eval()(x).features.shape == x.shape
    assert BAMModule(8, reduction=1, dilation=1).eval()(x).features.shape == x.shape
