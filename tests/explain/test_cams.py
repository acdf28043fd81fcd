"""Class activation maps: the library's agree with the equation, at any layer, and leave the network as it was."""

import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from torch import Tensor, nn

from attnbench.attention.base import Tap
from attnbench.backbones.base import Slot
from attnbench.backbones.resnet import ResNet
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.errors import NotInstalledError, UserError
from attnbench.explain.cams import METHODS, cam
from attnbench.explain.probes import inserted_probe, resolve_layers, slot_at
from tests.explain.networks import OwnAttention, images, network


def grad_cam(net: Classifier, x: Tensor, targets: Sequence[int]) -> Tensor:
    """Selvaraju et al., eqs. 1 and 2, at the map that the classifier pools."""
    features = net.backbone.features(x)
    final = features.final.detach().requires_grad_()
    pooled = None if features.pooled is None else net.backbone.pool(final)
    features = features._replace(final=final, pooled=pooled)
    logits = net.backbone.classify(features) if net.backbone.has_classifier else None
    scores = net.attention.classify(features, logits).logits
    (gradient,) = torch.autograd.grad(scores.gather(1, torch.tensor(targets)[:, None]).sum(), final)
    return (gradient.mean((2, 3), keepdim=True) * final).sum(1).clamp(min=0).detach()


@pytest.mark.parametrize("attention", ["none", "bam", "gated", "ggam"])
def test_grad_cam_is_the_equation(attention: str) -> None:
    reduction = ["attention.reduction=2"] if attention in ("bam", "ggam") else []
    net, x, targets = network(f"attention={attention}", *reduction), images(), [0, 3, 9]
    expected = grad_cam(net, x, targets)
    assert expected.max() > 0
    torch.testing.assert_close(cam(net, x, targets, "final"), expected, rtol=1e-4, atol=1e-7)


def grad_cam_at(net: Classifier, x: Tensor, targets: Sequence[int], point: str) -> Tensor:
    """The same at a point, before all that is inserted there."""
    leaves: list[Tensor] = []

    def cut(slot: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        leaves.append(inputs[0].detach().requires_grad_())
        return leaves[0].clone(), *inputs[1:]

    handle = slot_at(net, point).register_forward_pre_hook(cut)
    scores = net(x)
    handle.remove()
    (gradient,) = torch.autograd.grad(scores.gather(1, torch.tensor(targets)[:, None]).sum(), leaves)
    return (gradient.mean((2, 3), keepdim=True) * leaves[0]).sum(1).clamp(min=0).detach()


@pytest.mark.parametrize(("backbone", "point"), [("resnet20", "stage2.out"), ("wrn10_1", "stage3.pre")])
def test_grad_cam_at_a_tapped_stage_is_the_equation(backbone: str, point: str) -> None:
    depth = ["backbone.depth=8", "backbone.width=4"] if backbone == "resnet20" else []
    torch.manual_seed(0)
    net = build_model(compose(["data=digits", f"backbone={backbone}", *depth, "attention=gated"])).eval()
    assert list(slot_at(net, point)) == ["gated"]
    x, targets = images(height=8, width=8), [0, 3, 9]
    expected = grad_cam_at(net, x, targets, point)
    assert expected.max() > 0
    torch.testing.assert_close(cam(net, x, targets, point), expected, rtol=1e-4, atol=1e-9)
    assert list(slot_at(net, point)) == ["gated"]


def test_a_probe_stands_between_what_changes_a_map_and_the_taps_that_read_it() -> None:
    slot = Slot(4, stride=1)
    slot.update({"before": Tap(), "module": nn.ReLU(), "first": Tap(), "second": Tap()})
    modules = list(slot.items())
    with inserted_probe(slot) as probe:
        assert list(slot) == ["before", "module", "explained", "first", "second"]
        assert slot["explained"] is probe
    assert list(slot.items()) == modules


def test_ggams_output_is_d() -> None:
    net, x = network("attention=ggam", "attention.reduction=2"), images()
    attention = net.attention
    with torch.no_grad():
        attended, _ = attention.attend(net.backbone.features(x).final)  # type: ignore[operator]
    found = cam(net, x, [1, 1, 1], "attention", "eigencam")
    assert found.shape[1:] == attended.shape[2:]
    weights = torch.zeros_like(attended)
    attended.requires_grad_()
    pooled = attended.amax((2, 3))
    score = attention.head(pooled)[:, 1].sum()  # type: ignore[operator]
    (weights,) = torch.autograd.grad(score, attended)
    expected = (weights.mean((2, 3), keepdim=True) * attended).sum(1).clamp(min=0).detach()
    torch.testing.assert_close(cam(net, x, [1, 1, 1], "attention"), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_maps_at_the_layers_resolution(method: str) -> None:
    net = network("attention=bam", "attention.reduction=2")
    found = cam(net, images(2), [0, 1], "stage2.out", method)
    assert found.shape == (2, 12, 12)
    assert found.min() >= 0
    assert found.isfinite().all()


def test_score_cam_keeps_the_maps_of_the_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    release = ActivationsAndGradients.release

    def count(taken: ActivationsAndGradients) -> None:
        kept.append(len(taken.activations))
        release(taken)

    monkeypatch.setattr(ActivationsAndGradients, "release", count)
    cam(network("attention=none"), images(2), [0, 1], "stage1.out", "scorecam")
    assert max(kept) == 1


def test_the_network_is_left_as_it_was() -> None:
    net = build_model(compose(["data=cluttered_digits", "backbone.width=4", "attention=ggam", "attention.reduction=2"]))
    net.train()
    net.backbone.requires_grad_(False)
    net.attention.head.eval()  # type: ignore[union-attr]
    gradient = torch.ones_like(next(net.attention.parameters()))
    next(net.attention.parameters()).grad = gradient
    before = {key: value.clone() for key, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    for layer in ("final", "attention", "stage1.out"):
        cam(net, images(), [0, 0, 0], layer)
    assert [module.training for module in net.modules()] == modes
    assert not any(parameter.requires_grad for parameter in net.backbone.parameters())
    assert next(net.attention.parameters()).grad is gradient
    assert list(net.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_frozen_network_has_the_same_maps() -> None:
    net = network("attention=none")
    expected = cam(net, images(), [0, 1, 2], "final")
    net.requires_grad_(False)
    try:
        assert torch.equal(cam(net, images(), [0, 1, 2], "final"), expected)
    finally:
        net.requires_grad_(True)


def test_layers_are_points_patterns_and_two_names() -> None:
    net = network("attention=bam", "attention.reduction=2")
    assert resolve_layers(net, [], images()) == ["final", "attention"]
    assert resolve_layers(net, ["stage?.out", "final", "stage1.out"], images()) == [
        "stage1.out", "stage2.out", "stage3.out", "final",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"layer stage2.outt: no such place; did you mean stage2.out\?"):
        resolve_layers(net, ["stage2.outt"], images())


def test_an_attention_that_changes_no_features_has_no_output() -> None:
    for attention in ("none", "gated"):
        net = network(f"attention={attention}")
        assert resolve_layers(net, [], images()) == ["final"]
        with pytest.raises(UserError, match="changes no features"):
            resolve_layers(net, ["attention"], images())


def test_an_attentions_output_that_is_the_final_map_is_shown_once() -> None:
    net = Classifier(ResNet(20, num_classes=10, width=4), OwnAttention()).eval()
    assert resolve_layers(net, [], images(channels=3)) == ["final"]


def test_a_score_that_does_not_depend_on_a_layer_is_named() -> None:
    net = network("attention=gated", "attention.depth=1", "attention.predict=modules", "attention.deepest=before_last")
    with pytest.raises(UserError, match="name another layer"):
        cam(net, images(), [0, 0, 0], "final")


def test_unknown_methods_and_a_missing_library_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("attention=none")
    with pytest.raises(UserError, match=r"method gradcamm: no such method; did you mean gradcam\?"):
        cam(net, images(), [0, 0, 0], "final", "gradcamm")
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'attnbench\[explain\]'"):
        cam(net, images(), [0, 0, 0], "final")
