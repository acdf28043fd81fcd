"""timm's attentions: where they are inserted, and what is said where they cannot be."""

import sys
from typing import get_args

import pytest
import torch
from timm.layers.create_attn import create_attn

from attnbench.attention.timm import TimmName
from attnbench.build import build_model, build_model_on_meta
from attnbench.cli.train import headline
from attnbench.config.compose import compose
from attnbench.errors import UserError
from tests.attention.pairs import SHIPPED


@pytest.mark.parametrize("name", get_args(TimmName))
def test_every_name_builds_and_keeps_the_shape(name: str) -> None:
    config = compose([f"attention=timm/{name}", "data=cifar10", "backbone.width=32"])
    assert f"attention timm/{name}" in headline(config)
    net = build_model(config)
    module = net.backbone.get_submodule(f"stage2.block0.residual.{name}")
    assert type(module) is type(create_attn(name, 64))
    x = torch.randn(2, 64, 8, 8)
    assert module(x).shape == x.shape
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize(("name", "layer"), [("se", "fc1"), ("coord", "conv1"), ("scoord", "fc1")])
def test_a_reduction_gives_exactly_that_many_hidden_channels(name: str, layer: str) -> None:
    config = compose([f"attention=timm/{name}", "attention.reduction=3", "data=cifar10"])
    module = build_model_on_meta(config).backbone.get_submodule(f"stage1.block0.residual.{name}")
    assert module.get_parameter(f"{layer}.weight").shape[:2] == (5, 16)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("attention=timm/halo",), "attention.name=halo"),
        (("attention=timm/se", "attention.reduction=0"), "attention.reduction=0: must be at least 1"),
        (("attention=timm/se", "attention.reduction=32"), "leaves none of the 16 channels"),
        (("attention=timm/eca", "attention.reduction=4"), "has no hidden channels"),
        (("attention=timm/ela", "attention.reduction=4"), "has no hidden channels"),
    ],
)
def test_invalid_options_are_rejected(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        build_model_on_meta(compose(words))


def test_without_timm_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.layers.create_attn", None)
    with pytest.raises(UserError, match=r"pip install 'attnbench\[timm\]'"):
        build_model_on_meta(compose(["attention=timm/gc"]))


@pytest.mark.parametrize("attention", [name for name in SHIPPED if name != "timm"])
def test_our_baselines_need_no_timm(attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [module for module in sys.modules if module.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not installed
    build_model_on_meta(compose([f"attention={attention}", "data=cifar10"]))
