"""Optimisers by name, and rates that fall with depth."""

import copy
import sys
from typing import Any

import pytest
import torch
from timm.optim.lamb import Lamb
from timm.optim.lion import Lion
from timm.optim.muon import Muon

from attnbench.attention.base import Attention
from attnbench.build import build_backbone, build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.construct import construct_as
from attnbench.errors import NotInstalledError
from attnbench.training.optimizers import make_optimizer, parameter_groups
from attnbench.training.recipe import Recipe
from tests.attention.pairs import ATTENTIONS, config_of


def recipe(**options: Any) -> Recipe:
    return Recipe(**{**compose()["recipe"], **options})


def network(*overrides: str) -> Classifier:
    return build_model(compose(["data=digits", "backbone.width=4", *overrides]))


@pytest.mark.parametrize(
    ("name", "kind", "defaults"),
    [
        ("lamb", Lamb, {"betas": (0.8, 0.95), "weight_decay": 0.02, "max_grad_norm": None}),
        ("lion", Lion, {"betas": (0.8, 0.95), "weight_decay": 0.02}),
        ("muon", Muon, {"betas": (0.8, 0.95), "weight_decay": 0.02, "momentum": 0.7, "nesterov": False}),
    ],
)
def test_timms_optimisers_take_the_recipes_options_and_train(name: str, kind: Any, defaults: dict[str, Any]) -> None:
    net = network()
    options = recipe(optimizer=name, lr=0.01, betas=[0.8, 0.95], weight_decay=0.02, momentum=0.7, nesterov=False)
    optimizer = make_optimizer(net, options)
    assert isinstance(optimizer, kind)
    assert {key: optimizer.defaults[key] for key in defaults} == defaults
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    net(torch.randn(8, 1, 8, 8)).logsumexp(1).sum().backward()
    optimizer.step()
    assert all(not torch.equal(before[name], parameter) for name, parameter in net.named_parameters())


@pytest.mark.parametrize("options", [{"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.0, "nesterov": False},
                                     {"optimizer": "adamw"}], ids=str)  # fmt: skip
def test_fused_updates_are_those_of_single_parameters(options: dict[str, Any]) -> None:
    """In channels_last, and with a layer that has no gradient in the first step."""
    torch.manual_seed(0)
    fused = network().to(memory_format=torch.channels_last)
    plain = copy.deepcopy(fused)
    optimizers = [make_optimizer(net, recipe(lr=0.05, weight_decay=0.01, **options)) for net in (fused, plain)]
    assert optimizers[0].defaults["fused"]
    for group in optimizers[1].param_groups:
        group["fused"] = False
    for step in range(3):
        images = torch.randn(8, 1, 8, 8)
        for net, optimizer in zip((fused, plain), optimizers, strict=True):
            net(images).logsumexp(1).sum().backward()
            if step == 0:
                net.backbone.classifier.bias.grad = None
            optimizer.step()
            optimizer.zero_grad()
    pairs = zip(fused.parameters(), plain.parameters(), strict=True)
    assert all(torch.allclose(own, expected, rtol=1e-4, atol=1e-6) for own, expected in pairs)


def test_muon_leaves_the_classifier_to_adamw() -> None:
    net = network("attention=bam", "attention.reduction=2")
    groups = parameter_groups(net, recipe(optimizer="muon"))
    head = {id(parameter) for group in groups if group.get("use_fallback") for parameter in group["params"]}
    assert head == {id(parameter) for parameter in net.backbone.classifier.parameters()}
    assert not any(group.get("use_fallback") for group in parameter_groups(net, recipe()))


CLASSES = 13
"""No number of channels or hidden units of the networks below is a multiple of it."""


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_muon_orthogonalises_nothing_that_computes_class_scores(attention: str) -> None:
    """Layers that compute class scores are known by their output channels: classes, or heads times classes."""
    config = config_of(attention, "resnet basic")
    backbone = build_backbone(config, num_classes=CLASSES, in_channels=3, image_size=32)
    net = Classifier(backbone, construct_as(Attention, "attention", config["attention"]))
    groups = parameter_groups(net, recipe(optimizer="muon"))
    by_adamw = {id(parameter) for group in groups if group.get("use_fallback") for parameter in group["params"]}
    matrices = {name: parameter for name, parameter in net.named_parameters() if parameter.ndim > 1}
    of_scores = {name for name, parameter in matrices.items() if parameter.shape[0] % CLASSES == 0}
    assert of_scores
    assert {name for name, parameter in matrices.items() if id(parameter) in by_adamw} == of_scores


def test_without_timm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.optim", None)
    with pytest.raises(NotInstalledError, match=r"recipe\.optimizer: lamb, .* pip install 'attnbench\[timm\]'"):
        make_optimizer(network(), recipe(optimizer="lamb"))


LAYERS = {
    "backbone=resnet20": {"stem": 4, "stage1": 3, "stage2": 2, "stage3": 1},
    "backbone=preact_resnet20": {"stem": 4, "stage1": 3, "stage2": 2, "stage3": 1},
    "backbone=densenet_bc backbone.depth=22 backbone.growth=4": {
        **{"stem": 4, "stage1": 3, "transition1": 2, "stage2": 2, "transition2": 1, "stage3": 1}
    },
    "backbone=mobilenet_v1 data=cifar10": {
        **{"stem": 5, "stem_block": 4, "stage1": 4, "stage2": 3, "stage3": 2, "stage4": 1}
    },
}
"""Exponents of the decay, as BEiT counts layers: the head has 0, the layer before it 1."""


@pytest.mark.parametrize(("overrides", "depths"), LAYERS.items())
def test_rates_fall_by_a_factor_from_part_to_part(overrides: str, depths: dict[str, int]) -> None:
    plain = [word for word in overrides.split() if not word.startswith("backbone.width")]
    net = build_model(compose(["data=digits", "attention=bam", "attention.reduction=2", *plain]))
    groups = parameter_groups(net, recipe(lr=0.8, layer_decay=0.5, decay_norm_and_bias=True))
    rates = {id(parameter): group["initial_lr"] for group in groups for parameter in group["params"]}
    names = {name: rates[id(parameter)] for name, parameter in net.named_parameters()}
    assert len(groups) == len(set(depths.values())) + 1
    for name, rate in names.items():
        part = name.split(".")[1]
        depth = 0 if ".bam." in name else depths.get(part, 0)
        assert rate == 0.8 * 0.5**depth, name
    assert names["backbone.classifier.weight"] == 0.8


def test_both_factors_of_the_rate_multiply() -> None:
    groups = parameter_groups(network(), recipe(lr=1.0, layer_decay=0.5, backbone_lr_factor=0.1))
    assert sorted({group["initial_lr"] for group in groups}) == pytest.approx([0.00625, 0.0125, 0.025, 0.05, 1.0])
