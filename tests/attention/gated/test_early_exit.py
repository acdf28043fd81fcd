"""Evaluation that predicts from the modules alone."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from attnbench.attention.gated import Gated
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier
from attnbench.cost import count
from tests.attention.gated.networks import (
    attention,
    build,
    digits_network,
    images,
    randomised,
    total,
)
from tests.attention.gated.reference import ByHand, gates_by_hand

SLOW = pytest.mark.slow


def dropped(net: Classifier, stages: int) -> Classifier:
    """The network with NaN in everything behind its first stages, the classifier included."""
    behind = [net.backbone.get_submodule(stage) for stage in net.backbone.stages[stages:]]
    for module in [*behind, net.backbone.classifier]:
        for name, parameter in module.named_parameters():
            if name not in ("block0.bn1.weight", "block0.bn1.bias"):  # a shared tap passes them
                parameter.data.fill_(math.nan)
    return net


@pytest.mark.parametrize(
    "kind", ["wrn", "preact", "20", pytest.param("18", marks=SLOW), pytest.param("resnext", marks=SLOW)]
)
@pytest.mark.parametrize("tap", ["shared", "own"])
@pytest.mark.parametrize("modules", [1, 2])
@pytest.mark.parametrize(
    "options", [{}, pytest.param({"net_output": "half"}, marks=SLOW), {"head_gates": False, "width": 2}], ids=str
)
@torch.no_grad()
def test_an_early_exit_is_the_mean_of_the_modules_it_reaches(
    kind: str, tap: str, modules: int, options: dict[str, Any]
) -> None:
    """Layers behind the last module in use, and the classifier, are not computed: they may hold anything."""
    options = {"depth": 2, "deepest": "before_last", "tap": tap, **options}
    whole = randomised(build(kind, **options))
    short = build(kind, predict="modules", exit_modules=modules, **options).double().eval()
    short.load_state_dict(whole.state_dict())
    x, heads = images(2, 16, 16), options.get("width", 1)
    opinions = [heads_of(whole, x, stage) for stage in list(attention(whole).points)[:modules]]
    expected = torch.cat(opinions, 1).softmax(-1).mean(1).log()
    kept = whole.backbone.stages.index(list(attention(whole).points)[modules - 1]) + 1
    output = dropped(short, kept).output(x)
    assert torch.allclose(output.logits, expected, atol=1e-12)
    assert output.extras["gates"].shape == (2, modules * heads)
    assert list(short.maps(output)) == list(attention(whole).points.values())[:modules]


def heads_of(net: Classifier, x: Tensor, stage: str) -> Tensor:
    """Hypotheses (B, 1 or K, L) of one module in a whole forward pass."""
    features, point = net.backbone.features(x), attention(net).points[stage]
    found = features.final if point == "final" else features.taps[f"{point}/gated/map"]
    opinion: Tensor = attention(net).heads[stage](found).hypotheses
    return opinion


@torch.no_grad()
def test_an_exit_that_sees_the_last_map_keeps_its_gates() -> None:
    net = randomised(build(predict="modules"))
    whole = build().double().eval()
    whole.load_state_dict(net.state_dict())
    every = ByHand(whole, images())
    kept = every.gates[:, :3] / every.gates[:, :3].sum(1, keepdim=True)  # a softmax over fewer scores
    output = dropped(net, 3).output(images())
    assert torch.allclose(output.extras["gates"], kept, atol=1e-12)
    mixed = torch.einsum("bn,bnl->bl", kept, every.hypotheses[:, :3].softmax(-1)).log()
    assert torch.allclose(output.logits, mixed, atol=1e-12)


def test_training_never_leaves_early() -> None:
    early, plain = build(predict="modules", exit_modules=1).train(), build().train()
    x = images(4, 8, 8, torch.float32)
    assert torch.equal(early.output(x).logits, plain.output(x).logits)
    total(early, early.output(x)).backward()
    assert all(parameter.grad is not None for parameter in early.parameters())


def test_cost_of_an_early_exit() -> None:
    """Before the last stage an exit saves that stage, the gates and the classifier; at its end the classifier alone."""

    def multiply_adds(**options: Any) -> int:
        with torch.device("meta"):
            return count(Classifier(WideResNet(28, 10, 10), Gated(**options)), 3, 32).multiply_adds

    early, late = {"depth": 2, "deepest": "before_last"}, {"depth": 3}
    saved = [multiply_adds(**options) - multiply_adds(**options, predict="modules") for options in (early, late)]
    stage = 64 * (9 * 320 * 640 + 320 * 640 + 7 * 9 * 640**2)
    assert saved == [stage + 640 * 10 + 640 * 3, 640 * 10]
    assert multiply_adds(**late, predict="modules", exit_modules=2) == multiply_adds(**early, predict="modules")


@torch.no_grad()
def test_gates_of_the_digits_network_read_its_hidden_units() -> None:
    net = randomised(digits_network())
    output = net.output(torch.rand(3, 1, 40, 40, dtype=torch.float64))
    assert output.features.pooled is not None
    assert output.features.pooled.shape == (3, 256)
    for image, hidden in enumerate(output.features.pooled):
        expected = gates_by_hand(net, hidden, 5)
        assert torch.allclose(output.extras["gates"][image], expected, atol=1e-12)


@pytest.mark.parametrize("modules", [3, "auto"])
@torch.no_grad()
def test_an_early_exit_of_the_digits_network_reaches_no_linear_layer(modules: int | str) -> None:
    """Neither the gates, which read hidden units, nor the classifier: the modules' mean, even at the last map."""
    net = randomised(digits_network(predict="modules", exit_modules=modules))
    used, behind = (4, 0) if modules == "auto" else (3, 1)
    x = torch.rand(2, 1, 40, 40, dtype=torch.float64)
    whole = randomised(digits_network())
    whole.load_state_dict(net.state_dict())
    each = [heads_of(whole, x, stage) for stage in list(attention(whole).points)[:used]]
    body: Any = net.backbone
    for module in (body.hidden, body.classifier, attention(net).gate, *([body.stage5] if behind else [])):
        for parameter in module.parameters():
            parameter.fill_(math.nan)
    expected = torch.cat(each, 1).log_softmax(-1).mean(1)
    assert torch.allclose(net(x), expected, atol=1e-12)
    saved = count(digits_network(), 1, 40).multiply_adds - count(net.float(), 1, 40).multiply_adds
    last = 16 * 9 * 128**2 * behind + 16 * 9 * 128 * 4 * 12 * behind
    assert saved == 2048 * 256 + 256 * 10 + 256 * 5 + last
