"""Parameters, multiply-adds and depths of the paper's networks."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnbench.attention.residual import ResidualAttention
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.build import build_backbone, build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.construct import construct
from attnbench.cost import count, count_parameters
from tests.attention.residual.networks import cifar, module

IMAGENET = {
    "attention56": (31_810_728, 6.27),
    "attention92": (52_466_344, 10.53),
    "attentionnext56": (31_318_824, 6.42),
    "attentioninception56": (32_097_032, 6.26),  # ours; printed: 31.9 M and 6.3 G
}


@pytest.mark.parametrize(("name", "expected"), IMAGENET.items())
def test_imagenet_experiments(name: str, expected: tuple[int, float]) -> None:
    config = compose([f"experiment={name}_imagenet", "data=cifar10"])  # the counts need no images
    with torch.device("meta"):
        backbone = build_backbone(config, num_classes=1000, in_channels=3, image_size=224)
        net = Classifier(backbone, construct("attention", config["attention"]))
        cost = count(net, 3, 224)
    assert (cost.parameters, round(cost.multiply_adds / 1e9, 2)) == expected
    assert (config["recipe"]["epochs"], config["recipe"]["milestones"]) == (106, [40, 80, 100])
    assert (config["data"]["batch_size"], config["data"]["validation"]) == (256, 0)
    if "inception" not in name:  # the longest way through its units has four layers
        assert trunk_layers(net) == int(re.sub(r"\D", "", name))


def test_attention_inception_is_of_the_printed_size() -> None:
    """Table 7: 31.9 M parameters, 6.3 G multiply-adds."""
    parameters, giga = IMAGENET["attentioninception56"]
    assert parameters / 1e6 == pytest.approx(31.9, rel=0.01)
    assert giga == pytest.approx(6.3, rel=0.01)


def test_counts_of_the_imagenet_modules() -> None:
    with torch.device("meta"):
        backbone = PreActResNet(20, 1000, image_size=224, width=64, block="bottleneck", blocks=[1, 1, 1, 3])
        Classifier(backbone, ResidualAttention(1))
    found = [backbone.get_submodule(f"stage{stage}.out.residual0") for stage in (1, 2, 3)]
    assert [count_parameters(each) for each in found] == [976_896, 3_046_912, 8_804_352]
    masks = [count_parameters(each.get_submodule("mask")) for each in found]
    assert masks == [695_296, 1_926_656, 4_335_616]
    assert not list(backbone.get_submodule("stage4.out").children())


CIFAR = {
    "attention56": (1_030_362, 0.123),
    "attention92": (1_841_242, 0.212),
    "attention128": (2_652_122, 0.301),
    "attention164": (3_463_002, 0.390),
    "attention236": (5_084_762, 0.568),
    "attention452": (10_181_210, 0.984),
}


@pytest.mark.parametrize(("name", "cost"), CIFAR.items())
def test_cifar_experiments(name: str, cost: tuple[int, float]) -> None:
    config = compose([f"experiment={name}_cifar10"])
    net = build_model_on_meta(config)
    assert trunk_layers(net) == int(name.removeprefix("attention"))
    assert (config["recipe"]["milestones"], config["data"]["batch_size"]) == ([81.84, 122.76], 64)
    one = count(build_model_on_meta(compose([f"experiment={name}_cifar10", "attention.modules=1"])), 3, 32)
    more = config["attention"]["modules"] - 1  # each further module costs the same
    multiply_adds = one.multiply_adds + more * one.attention_multiply_adds
    assert (count_parameters(net), round(multiply_adds / 1e9, 3)) == cost
    assert count_parameters(net) == one.parameters + more * one.attention_parameters


@pytest.mark.parametrize(("modules", "mega"), [(2, 1.96), (6, 5.20)])
def test_the_other_reading_of_the_cifar_networks(modules: int, mega: float) -> None:
    """One unit a stage and three at the end, as on ImageNet, fits table 6 (1.9 and 5.1 M) about as well."""
    with torch.device("meta"):
        backbone = PreActResNet(20, 10, block="bottleneck", blocks=[1, 1, 4])
        net = Classifier(backbone, ResidualAttention(modules))
    assert round(count_parameters(net) / 1e6, 2) == mega


def test_fewer_units_bring_attention452_nearer_to_its_printed_size() -> None:
    config = compose(["experiment=attention452_cifar10", "attention.r=2", "attention.modules=1"])
    one = build_model_on_meta(config)
    modules = [count_parameters(one.backbone.get_submodule(f"stage{stage}.out")) for stage in (1, 2, 3)]
    assert round((count_parameters(one) + 5 * sum(modules)) / 1e6, 2) == 8.75


def trunk_layers(net: nn.Module) -> int:
    """Weighted layers outside masks and shortcuts."""
    return sum(
        isinstance(layer, nn.Conv2d | nn.Linear) and not {"mask", "shortcut"} & set(name.split("."))
        for name, layer in net.named_modules()
    )


@given(
    modules=st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), p=st.integers(1, 3), t=st.integers(1, 5)
)
@settings(max_examples=8)
def test_depth(modules: list[int], p: int, t: int) -> None:
    with torch.device("meta"):
        net = cifar(modules=modules, p=p, t=t, mask_depth=[1, 1, 1])
    assert trunk_layers(net) == 3 * (2 * p + t) * sum(modules) + 20  # 36m + 20 for 1, 2 and m at each stage


@given(
    width=st.integers(1, 9), depth=st.integers(1, 5), p=st.integers(1, 3), t=st.integers(1, 4), r=st.integers(1, 4),
    local=st.booleans(),
)  # fmt: skip
@settings(max_examples=12)
def test_parameters_of_one_module(width: int, depth: int, p: int, t: int, r: int, local: bool) -> None:
    with torch.device("meta"):
        found = module(width, depth, p=p, t=t, r=r, mask="local" if local else "encoder_decoder")
    block = 17 * width**2 + 12 * width  # 4w to w, 3x3, w to 4w; norms of 4w, w and w channels
    units_of_mask = 3 if local else 2 * depth * r + depth - 1
    assert count_parameters(found.mask) == units_of_mask * block + 2 * (16 * width**2 + 8 * width)
    assert count_parameters(found) == count_parameters(found.mask) + (2 * p + t) * block
