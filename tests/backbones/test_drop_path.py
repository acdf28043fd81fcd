"""Stochastic depth: which branches are dropped, how often, and that the mean stays."""

import pytest
import torch

from attnbench.backbones.base import Slot
from attnbench.build import build_model
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


def test_a_network_without_residual_blocks_is_rejected() -> None:
    plain = ("data=cifar10", "backbone=torchvision/vgg11", "backbone.drop_path=0.1")
    for overrides in (plain, ("backbone.drop_path=1.0",)):
        with pytest.raises(UserError, match=r"backbone\.drop_path"):
            build(*overrides)
