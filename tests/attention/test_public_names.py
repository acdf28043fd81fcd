"""`from attnbench.attention import …`: lazy, complete, and usable in any network."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import attnbench.attention as rooms
from attnbench.attention import (
    BAMModule,
    CBAMModule,
    CoordinateModule,
    ECAModule,
    GatedAttentionModule,
    GatherExciteModule,
    GCModule,
    GCTModule,
    ModuleOutput,
    NonLocalModule,
    ResidualAttentionModule,
    SEModule,
    SimAMModule,
    SKModule,
    TripletModule,
)


@pytest.mark.parametrize("name", rooms.__all__)
def test_every_name_is_importable(name: str) -> None:
    assert getattr(rooms, name).__name__ == name
    assert name in dir(rooms)


def test_every_name_has_a_home() -> None:
    assert sorted(rooms.HOMES) == sorted(rooms.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'BAN'"):
        rooms.BAN  # noqa: B018


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, attnbench.attention; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def block() -> nn.Module:
    return nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())


@pytest.mark.parametrize(
    "module",
    [
        *(make(64) for make in (BAMModule, SEModule, CBAMModule, CoordinateModule, ECAModule, GatherExciteModule)),
        *(make(64) for make in (GCModule, GCTModule, NonLocalModule)),
        *(SimAMModule(), SKModule(64, 64), TripletModule(), ResidualAttentionModule(block, 64, mask_depth=2)),
    ],
    ids=lambda module: type(module).__name__,
)
def test_modules_keep_the_shape_in_a_plain_network(module: nn.Module) -> None:
    x = torch.randn(2, 64, 14, 10)
    result = module(x)
    refined = result.features if isinstance(result, ModuleOutput) else result
    assert refined.shape == x.shape
    if parameters := list(module.parameters()):
        refined.sum().backward()
        assert all(parameter.grad is not None for parameter in parameters)


def test_bam_hands_on_the_logits_of_its_branches() -> None:
    refined, logits = BAMModule(256)(torch.randn(2, 256, 14, 14))
    assert refined.shape == (2, 256, 14, 14)
    assert {name: tuple(value.shape) for name, value in logits.items()} == {
        "channel": (2, 256, 1, 1),
        "spatial": (2, 1, 14, 14),
    }


def test_a_gated_module_predicts_classes() -> None:
    output = GatedAttentionModule(256, num_classes=10)(torch.randn(2, 256, 8, 8))
    assert (output.hypotheses.shape, output.masks.shape, output.gates.shape) == ((2, 1, 10), (2, 4, 8, 8), (2, 4))
