"""Explanations of every attention and of other libraries' networks."""

import numpy as np
import pytest
import torch

from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.errors import UserError
from attnbench.explain import explain
from attnbench.explain.explanation import Explanation
from tests.explain.networks import OwnAttention, images, network


def panels(found: Explanation) -> dict[str, tuple[int, ...]]:
    return {panel.name: panel.values.shape for panel in found.panels if not panel.name.startswith("cam/")}


def test_bam_shows_gate_channels_and_positions() -> None:
    found = explain(network("attention=bam", "attention.reduction=2"), images(2, height=24, width=32))
    assert panels(found) == {
        "stage1.out/M": (2, 24, 32), "stage1.out/channel": (2, 4), "stage1.out/spatial": (2, 24, 32),
        "stage2.out/M": (2, 12, 16), "stage2.out/channel": (2, 8), "stage2.out/spatial": (2, 12, 16),
    }  # fmt: skip
    gate = found.raw["stage1.out"]
    assert gate.shape == (2, 4, 24, 32)
    np.testing.assert_allclose(found.panels[2].values, gate.mean(1), rtol=1e-5)


def test_gated_heads_have_their_gates_and_votes() -> None:
    net, x = network("attention=gated", "attention.width=2"), images(2)
    found = explain(net, x, classes=[f"class{number}" for number in range(10)])
    by_name = {panel.name: panel for panel in found.panels}
    heads = [by_name[f"stage1/head{head}"] for head in (1, 2)]
    with torch.no_grad():
        extras = net.output(x).extras
    gates = extras["head_gates/stage1.out"]
    for head, panel in enumerate(heads):
        np.testing.assert_allclose(panel.values.sum((1, 2)), 1, rtol=1e-4)
        for caption, gate in zip(panel.captions, gates[:, head].tolist(), strict=True):
            assert caption.startswith(f"gate {gate:.2f}, votes class")
    mean = sum(panel.values * gates[:, head, None, None].numpy() for head, panel in enumerate(heads))
    np.testing.assert_allclose(by_name["stage1/mean"].values, mean, rtol=1e-4)
    assert by_name["gates"].labels == ("stage1", "stage2", "stage3", "net")


def test_ggam_shows_s_beside_the_weights_of_the_same_class() -> None:
    net, x = network("attention=ggam", "attention.reduction=2"), images(2)
    found = explain(net, x, target="3")
    assert panels(found) == {"T": (2, 6, 6), "S-weighted": (2, 6, 6), "S": (2, 16)}
    bars = found.panels[-1]
    assert bars.compared is not None
    for series in (bars.values, bars.compared):
        np.testing.assert_allclose(series.mean(1), 1, rtol=1e-4)  # multiples of the uniform weight
    assert (np.diff(bars.values) <= 0).all()
    output = net.output(x)
    features = output.extras["features"]
    (gradient,) = torch.autograd.grad(output.logits[:, 3].sum(), features)
    weights = gradient.mean((2, 3)).sigmoid()
    order = torch.argsort(output.extras["log_importance"], dim=1, descending=True, stable=True)
    expected = (16 * weights / weights.sum(1, keepdim=True)).gather(1, order)
    np.testing.assert_allclose(bars.compared, expected.detach().numpy(), rtol=1e-4)


def test_residual_masks_are_shown_by_module_with_their_liveliest_channels() -> None:
    found = explain(network("attention=residual"), images(2, height=32))
    assert panels(found)["stage1.module0/mean"] == (2, 32, 24)
    by_name = {panel.name: panel for panel in found.panels}
    channel = int(by_name["stage2.module0/top1"].captions[1].removeprefix("channel "))
    mask = found.raw["stage2.module0"][1]
    assert channel == mask.var((1, 2), dtype=np.float64).argmax()
    np.testing.assert_array_equal(by_name["stage2.module0/top1"].values[1], mask[channel])


@pytest.mark.parametrize(("attention", "unit"), [("coordinate", "gate"), ("gc", "share")])
def test_modules_in_blocks_are_shown_by_the_last_of_each_stage(attention: str, unit: str) -> None:
    net = network(f"attention={attention}", "attention.reduction=2")
    found = explain(net, images(2, height=24, width=32), methods=())
    last = [net.backbone.match(f"stage{stage}.block*.residual")[-1] for stage in (1, 2, 3)]
    shapes = ((2, 24, 32), (2, 12, 16), (2, 6, 8))
    assert panels(found) == dict(zip(last, shapes, strict=True))
    assert {panel.unit for panel in found.panels} == {unit}
    assert len(found.raw) == len(net.inserted_paths)


def test_an_own_attention_needs_only_its_maps() -> None:
    net = Classifier(ResNet(20, num_classes=10, width=4), OwnAttention())
    found = explain(net, images(2, channels=3, height=32, width=48))
    assert panels(found)["stage2.out/mine/gate"] == (2, 8)
    assert found.pictures.shape == (2, 3, 32, 48)
    assert (found.pictures.min(), found.pictures.max()) == (0, 1)


@pytest.mark.parametrize("attention", ["none", "se", "cbam", "eca", "extra_block"])
def test_attention_without_maps_has_grad_cam(attention: str) -> None:
    reduction = ["attention.reduction=2"] if attention in ("se", "cbam") else []
    found = explain(network(f"attention={attention}", *reduction), images(2))
    assert not panels(found)
    assert found.cams


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("resnet18", "bam"),
        pytest.param("resnet18", "ggam", marks=pytest.mark.slow),
        pytest.param("mobilenet_v3_small", "gated", marks=pytest.mark.slow),
        pytest.param("densenet121", "none", marks=pytest.mark.slow),
        pytest.param("swin_t", "bam", marks=pytest.mark.slow),
    ],
)
def test_networks_of_torchvision_are_explained(name: str, attention: str) -> None:
    from attnbench.build import build_model
    from attnbench.config.compose import compose

    words = ["backbone=torchvision", f"backbone.name={name}", f"attention={attention}"]
    net = build_model(compose([*words, "data=cluttered_digits", "data.canvas=64"]))
    found = explain(net, images(1, height=64, width=96))
    assert all(panel.values.shape[-1] >= panel.values.shape[-2] for panel in found.cams)
    assert bool(panels(found)) == (attention != "none")


def test_chunks_do_not_change_an_explanation() -> None:
    net, x = network("attention=gated", "attention.width=2"), images(18)
    whole, last = explain(net, x, keep=17), explain(net, x[16:])
    for panel, part in zip(whole.panels, last.panels, strict=True):
        np.testing.assert_allclose(panel.values[16:], part.values, rtol=1e-3, atol=1e-6)
        assert panel.captions[16:] == part.captions
    assert len(whole.raw["final"]) == 17


def test_classes_are_checked() -> None:
    net = network("attention=none")
    with pytest.raises(UserError, match="true classes of these images are not known"):
        explain(net, images(), target="true", methods=())
    with pytest.raises(UserError, match="class 11: no such class"):
        explain(net, images(), target="11", methods=())
    found = explain(net, images(), labels=[1, 2, 3], target="true", methods=())
    assert found.targets.tolist() == [1, 2, 3]
    assert not found.panels


def test_as_many_whole_maps_are_kept_as_are_asked_for() -> None:
    net = network("attention=bam", "attention.reduction=2")
    for keep, count in ((0, 0), (1, 1), (None, 2)):
        found = explain(net, images(2), methods=(), keep=keep)
        assert found.raw["stage1.out"].shape == (count, 4, 24, 24)
