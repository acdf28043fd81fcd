"""timm's attentions: where they are put, what they cost, and what they do to a block."""

import sys

import pytest
import torch
from timm.layers.create_attn import create_attn

from attnbench.attention.baselines import REFINING
from attnbench.build import build_model, build_model_on_meta
from attnbench.cli.train import headline
from attnbench.config.compose import compose
from attnbench.cost import count
from attnbench.errors import UserError

# BAM, table 5, in millions; derived exactly, as printed to two decimals
TABLE_5 = [
    ("backbone=resnet50", 26.236, 26.24),
    ("backbone=preact_resnet164", 1.928, 1.93),
    ("backbone=wrn28_8", 23.577, 23.58),
]


@pytest.mark.parametrize(("backbone", "derived", "printed"), TABLE_5)
def test_parameters_with_se_are_those_of_bams_table(backbone: str, derived: float, printed: float) -> None:
    config = compose([backbone, "attention=se", "data=cifar100"])
    millions = count(build_model_on_meta(config), 3, 32).parameters / 1e6
    assert millions == pytest.approx(derived, abs=5e-4)
    assert millions == pytest.approx(printed, abs=6e-3)


def test_se_is_two_layers_with_biases_in_every_block() -> None:
    net = build_model(compose(["attention=se", "data=cifar10"]))
    inserted = [net.backbone.get_submodule(f"stage{stage}.block{block}.residual.se") for stage, block in PLACES]
    for module, channels in zip(inserted, [16] * 3 + [32] * 3 + [64] * 3, strict=True):
        hidden = channels // 16
        expected = {(hidden, channels, 1, 1), (hidden,), (channels, hidden, 1, 1), (channels,)}
        assert {tuple(parameter.shape) for parameter in module.parameters()} == expected


PLACES = [(stage, block) for stage in (1, 2, 3) for block in range(3)]


def test_se_scales_channels_by_a_gate_of_their_means() -> None:
    torch.manual_seed(0)
    net = build_model(compose(["attention=se", "attention.reduction=4", "data=cifar10"]))
    module = net.backbone.get_submodule("stage1.block0.residual.se")
    x = torch.randn(2, 16, 5, 7)
    weights, biases = ([p for p in module.parameters() if p.ndim == ndim] for ndim in (4, 1))
    for image, refined in zip(x, module(x), strict=True):
        mean = torch.stack([channel.mean() for channel in image])
        hidden = (weights[0][:, :, 0, 0] @ mean + biases[0]).clamp(min=0)
        gate = 1 / (1 + torch.exp(-(weights[1][:, :, 0, 0] @ hidden + biases[1])))
        torch.testing.assert_close(refined, torch.stack([g * c for g, c in zip(gate, image, strict=True)]))


@pytest.mark.parametrize("name", REFINING)
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


def test_eca_adds_a_few_numbers_a_block() -> None:
    cost = count(build_model_on_meta(compose(["attention=eca", "data=cifar10"])), 3, 32)
    assert cost.attention_parameters == 9 * 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("attention=timm/halo",), "attention.name=halo"),
        (("attention=se", "attention.reduction=0"), "attention.reduction=0: must be at least 1"),
        (("attention=se", "attention.reduction=32"), "leaves none of the 16 channels"),
        (("attention=timm/eca", "attention.reduction=4"), "has no hidden channels"),
    ],
)
def test_mistakes(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UserError, match=told.replace(".", r"\.")):
        build_model_on_meta(compose(words))


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.layers.create_attn", None)
    with pytest.raises(UserError, match=r"pip install 'attnbench\[timm\]'"):
        build_model_on_meta(compose(["attention=cbam"]))
