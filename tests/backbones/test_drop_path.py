"""Stochastic depth: which branches are dropped, how often, and that the mean stays."""

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from attnbench.backbones.base import Slot
from attnbench.build import build_model, build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.errors import UserError

NAMES = ("resnet20", "preact_resnet20", "wrn10_2", "resnext29_2x4d", "torchvision/resnet18", "timm/resnet18")


def build(*overrides: str) -> Classifier:
    return build_model(compose(["data=digits", *overrides]))


@pytest.mark.parametrize("name", NAMES)
def test_the_probability_rises_with_depth(name: str) -> None:
    backbone = build(f"backbone={name}", "backbone.drop_path=0.3").backbone
    slots = {slot.point: slot.drop_path for slot in backbone.modules() if isinstance(slot, Slot)}
    rates = [slots[point] for point in backbone.match("stage*.block*.residual")]
    assert rates == pytest.approx([0.3 * number / len(rates) for number in range(1, len(rates) + 1)])
    assert sum(rate > 0 for rate in slots.values()) == len(rates)


def test_whole_samples_are_dropped_and_the_mean_stays() -> None:
    slot = Slot(4, 1)
    slot.drop_path = 0.25
    images = torch.randn(4000, 4, 2, 2)
    found = slot(images)
    kept = found.flatten(1).abs().sum(1) > 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.allclose(found[kept], images[kept] / 0.75)
    assert torch.equal(slot.eval()(images), images)


def test_evaluation_and_names_of_weights_are_those_without() -> None:
    plain, dropped = build("attention=se", "attention.reduction=2"), build(
        "attention=se", "attention.reduction=2", "backbone.drop_path=0.5"
    )  # fmt: skip
    dropped.load_state_dict(plain.state_dict())
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(plain.eval()(images), dropped.eval()(images))
    assert not torch.equal(plain.train()(images), dropped.train()(images))


@pytest.mark.parametrize("attention", ["none", "bam", "se"])
@pytest.mark.parametrize("name", ["resnet20", "torchvision/resnet18", "torchvision/swin_t", "timm/resnet18"])
def test_branches_are_dropped_whether_or_not_modules_stand_there(name: str, attention: str) -> None:
    net = build(f"backbone={name}", f"attention={attention}", "backbone.drop_path=0.9", "data=cifar10").train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.eval().weight)  # timm starts branches at zero
    images = torch.randn(2, 3, 32, 32)
    assert len({tuple(net(images).flatten().tolist()) for _ in range(4)}) > 1


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "swin_t"])
def test_torchvisions_own_rates_are_replaced(name: str) -> None:
    for rate in (0.0, 0.5):
        net = build_model_on_meta(
            compose(["data=cifar10", f"backbone=torchvision/{name}", f"backbone.drop_path={rate}"])
        )
        own = [module.p for module in net.modules() if isinstance(module, StochasticDepth)]
        slots = [module.drop_path for module in net.modules() if isinstance(module, Slot)]
        assert max(own + slots) == rate
        assert not any(own) or not any(slots)  # once a branch


def test_a_dropped_branch_adds_nothing_after_an_attention_that_adds_a_map() -> None:
    net = build("data=cifar10", "backbone=torchvision/efficientnet_b0", "attention=gc").train()
    block = next(module for module in net.modules() if getattr(module, "use_res_connect", False))
    for module in net.modules():
        if isinstance(module, Slot) and module.point.endswith(".residual"):
            module.drop_path = 1.0
    first = next(module for module in block.modules() if isinstance(module, nn.Conv2d))
    x = torch.randn(2, first.in_channels, 4, 4)
    assert torch.equal(block(x), x)


def test_a_network_without_residual_blocks_is_rejected() -> None:
    plain = ("data=cifar10", "backbone=torchvision/vgg11", "backbone.drop_path=0.1")
    for overrides in (plain, ("backbone.drop_path=1.0",)):
        with pytest.raises(UserError, match=r"backbone\.drop_path"):
            build(*overrides)
