"""Options, maps and backbones that residual attention rejects."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnbench.attention.residual import ResidualAttention
from attnbench.attention.residual_modules import SumNormOption
from attnbench.backbones.base import Backbone
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.errors import OptionError
from tests.attention.residual.networks import attention, cifar, module


@given(depth=st.integers(1, 4), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(max_examples=40)
def test_a_map_too_small_for_the_mask_is_rejected(depth: int, height: int, width: int) -> None:
    found = module(1, depth).eval()
    x = torch.randn(1, 4, height, width)
    left = min(height, width)
    for _ in range(depth):
        left = math.ceil((left - 3) / 2) + 1  # Caffe's
    if left >= 1:
        assert found(x).extras["mask"].shape == x.shape
    else:
        with pytest.raises(OptionError, match=f"too many poolings for a map of {height}x{width}"):
            found(x)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"mask": "none"}, "mask"),
        ({"activation": "sigmoid"}, "activation"),
        ({"learning": "both"}, "learning"),
        ({"sum_norm": "layer"}, "sum_norm"),
        ({"p": 0}, "p"),
        ({"t": 0}, "t"),
        ({"r": 0}, "r"),
        ({"modules": -1}, "modules"),
        ({"modules": 0}, "modules"),
        ({"modules": [1, 2]}, "modules"),
        ({"modules": [0, 0, 0]}, "modules"),
        ({"modules": [1, -1, 1]}, "modules"),
        ({"mask_depth": []}, "mask_depth"),
        ({"mask_depth": [3, 2, 0]}, "mask_depth"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        attention(**options)
    assert caught.value.key == key


def test_pairs_that_make_no_sense() -> None:
    with pytest.raises(OptionError, match="names 4 stages of the backbone's 3"):
        cifar(mask_depth=[4, 3, 2, 1])
    with pytest.raises(OptionError, match="too many poolings for a map of 8x8"):
        cifar(mask_depth=[3, 2, 4])
    cifar(mask_depth=[3, 2, 4], modules=[1, 1, 0])
    cifar(mask_depth=[3, 2, 4], mask="local")

    class Blockless(PreActResNet):
        make_block = Backbone.make_block

    with pytest.raises(NotImplementedError, match="has no block to build attention of"):
        Classifier(Blockless(20, 10), ResidualAttention())


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"blocks": [1, 1, 3]}, "depth"),
        ({"blocks": [2, 2, 0, 2]}, "blocks"),
        ({"blocks": []}, "blocks"),
        ({"blocks": "many"}, "blocks"),
    ],
    ids=str,
)
def test_blocks_that_make_no_backbone(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        PreActResNet(20, 10, block="bottleneck", **options)  # type: ignore[arg-type]
    assert caught.value.key == key


def test_equal_blocks_are_the_plain_backbone() -> None:
    with torch.device("meta"):
        plain, spelled = PreActResNet(20, 10), PreActResNet(20, 10, blocks=[3, 3, 3])
        four = PreActResNet(20, 10, blocks=[1, 2, 3, 3])
    assert spelled.state_dict().keys() == plain.state_dict().keys()
    assert four.stages == ("stage1", "stage2", "stage3", "stage4")
    assert [four.points[f"{stage}.out"].stride for stage in four.stages] == [1, 2, 4, 8]
    assert len(four.match("stage2.block*.out")) == 2


@pytest.mark.parametrize(
    ("backbone", "sum_norm", "own_identity"),
    [
        ("resnet20", "auto", True),
        ("resnext29_8x64d", "auto", True),
        ("preact_resnet20", "none", False),
        ("preact_resnet164", "none", False),
        ("wrn28_10", "none", False),
    ],
)
def test_only_postactivation_networks_differ_from_older_runs(backbone: str, sum_norm: str, own_identity: bool) -> None:
    config = compose(["attention=residual", f"backbone={backbone}"])
    assert config["attention"]["sum_norm"] == sum_norm
    assert ("attention.sum_norm" in config.identity) == own_identity
    assert not any("_sum_norm_" in key for key in config.identity)


def test_a_plain_sum_is_an_older_run() -> None:
    config = compose(["attention=residual", "backbone=resnet20", "attention.sum_norm=none"])
    assert "attention.sum_norm" not in config.identity


def test_sums_are_normalised_on_postactivation_networks_only() -> None:
    def norms(backbone: Backbone, sum_norm: SumNormOption = "auto") -> int:
        net = Classifier(backbone, ResidualAttention(mask_depth=[1, 1, 1], sum_norm=sum_norm))
        return sum(
            isinstance(net.backbone.get_submodule(f"{stage}.out.residual0.norm"), nn.BatchNorm2d)
            for stage in backbone.stages
        )

    assert norms(ResNet(8, 10)) == 3
    assert norms(ResNet(8, 10), "none") == 0
    assert norms(PreActResNet(8, 10)) == 0
    assert norms(PreActResNet(8, 10), "batch") == 3
