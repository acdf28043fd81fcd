"""The digits network against its description, layer by layer, and what its hidden layer asks of the contract."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.attention.base import Attention, Tap
from attnbench.attention.gated import Gated
from attnbench.backbones.cluttered_mnist_cnn import ClutteredMNISTCNN
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count, count_parameters
from attnbench.errors import OptionError, UserError

SIDES = {"stage1": 18, "stage2": 8, "stage3": 6, "stage4": 6, "stage5": 4}
WIDTHS = {"stage1": 32, "stage2": 64, "stage3": 128, "stage4": 128, "stage5": 128}


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    """The network in double precision and evaluation, with statistics, scales and biases that do something."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in net.double().state_dict().items():
        if tensor.is_floating_point() and (tensor.ndim == 1 or "running" in name):
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
    return net.eval()


def by_hand(state: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Maps after each stage, the hidden units and the logits, from the table of layers."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{key}"].reshape(1, -1, *[1] * (x.ndim - 2))
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    found = {}
    x = norm(x, "norm")
    for stage in SIDES:
        x = F.conv2d(x, state[f"{stage}.conv.weight"], padding=1 if stage == "stage4" else 0)
        if stage in ("stage1", "stage2"):
            x = torch.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
        found[stage] = x = norm(x.clamp_min(0), f"{stage}.norm")
    x = x.reshape(len(x), -1) @ state["hidden.1.weight"].T + state["hidden.1.bias"]
    found["hidden"] = x = norm(x.clamp_min(0), "hidden.3")
    found["logits"] = x @ state["classifier.weight"].T + state["classifier.bias"]
    return found


@torch.no_grad()
def test_every_layer_computes_what_the_description_says() -> None:
    net = ClutteredMNISTCNN(10)
    for stage in net.stages:
        net.insert(f"{stage}.out", Tap(), "seen")
    randomised(net)
    images = torch.rand(3, 1, 40, 40, dtype=torch.float64)
    features, expected = net.features(images), by_hand(net.state_dict(), images)
    for stage, side in SIDES.items():
        found = features.taps[f"{stage}.out/seen/map"]
        assert found.shape == (3, WIDTHS[stage], side, side)
        assert torch.allclose(found, expected[stage], atol=1e-10)
    assert torch.equal(features.final, features.taps["stage5.out/seen/map"])
    assert features.pooled is not None
    assert torch.allclose(features.pooled, expected["hidden"], atol=1e-10)
    assert torch.allclose(net.classify(features), expected["logits"], atol=1e-10)


def test_cost() -> None:
    with torch.device("meta"):
        cost = count(Classifier(ClutteredMNISTCNN(10), Attention()), 1, 40)
    assert cost.parameters == 916_460
    convolutions = 36**2 * 25 * 32 + 16**2 * 9 * 32 * 64 + 6**2 * 9 * 64 * 128 + (6**2 + 4**2) * 9 * 128**2
    assert cost.multiply_adds == convolutions + 2048 * 256 + 256 * 10


def test_points_are_where_attention_may_stand() -> None:
    net = ClutteredMNISTCNN(10)
    for point in net.points:
        net.insert(point, Tap(), "seen")
    taps = net.features(torch.rand(2, 1, 40, 40)).taps
    shapes = {name.split("/")[0]: tuple(value.shape[1:3]) for name, value in taps.items()}
    stages = {f"{stage}.out": (WIDTHS[stage], side) for stage, side in SIDES.items()}
    assert shapes == {"stage1.unpooled": (32, 36), "stage2.unpooled": (64, 16), **stages}
    assert {name: point.channels for name, point in net.points.items()} == {n: c for n, (c, _) in shapes.items()}
    assert {name: point.stride for name, point in net.points.items() if point.stride < 4} == {
        "stage1.unpooled": 1,
        "stage1.out": 2,
        "stage2.unpooled": 2,
    }
    assert net.bottlenecks == ("stage1.unpooled", "stage2.unpooled")


@pytest.mark.parametrize(("size", "side"), [(28, 1), (32, 2), (40, 4), (41, 4), (64, 10)])
def test_other_image_sizes(size: int, side: int) -> None:
    net = ClutteredMNISTCNN(7, in_channels=3, image_size=size, width=4, hidden=8)
    features = net.features(torch.rand(1, 3, size, size))
    assert features.final.shape == (1, 16, side, side)
    assert net.classify(features).shape == (1, 7)


@pytest.mark.parametrize("data", ["digits", "cluttered_digits"])
def test_images_that_leave_no_map_are_rejected(data: str) -> None:
    with pytest.raises(UserError, match="backbone: takes images from 28x28 on; these are"):
        build_model(compose(["backbone=cluttered_mnist_cnn", f"data={data}"]))


@pytest.mark.parametrize("shape", [(28, 28), (40, 41), (8, 8)])
def test_images_of_another_size_than_it_is_built_for_are_rejected(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"built for images of 40x40, not {shape[0]}x{shape[1]}"):
        ClutteredMNISTCNN(10)(torch.rand(2, 1, *shape))


@pytest.mark.parametrize("key", ["width", "hidden"])
def test_options_out_of_range_are_named(key: str) -> None:
    options: dict[str, Any] = {key: 0}
    with pytest.raises(OptionError) as caught:
        ClutteredMNISTCNN(10, **options)
    assert caught.value.key == key


def test_it_has_no_block_of_its_own() -> None:
    with pytest.raises(NotImplementedError, match="no block to build attention of"):
        ClutteredMNISTCNN(10).make_block("stage1")


def test_a_removed_head_takes_its_hidden_layer_along_unless_it_is_read() -> None:
    head, hidden = 256 * 10 + 10, 2048 * 256 + 256 + 2 * 256
    for keep, gone in ((True, head), (False, head + hidden)):
        net = ClutteredMNISTCNN(10)
        net.remove_classifier(keep_pooled=keep)
        assert not net.has_classifier
        assert count_parameters(net) == 916_460 - gone
        assert (net(torch.rand(2, 1, 40, 40)).pooled is None) == (not keep)


@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, True), ({"net_output": "none"}, True), ({"net_output": "none", "global_gates": "none"}, False)],
)
def test_the_hidden_layer_runs_once_a_pass(options: dict[str, Any], kept: bool) -> None:
    """Twice, for the gates and for the classifier, would move its running statistics twice."""
    net = Classifier(ClutteredMNISTCNN(10), Gated("official", depth=4, **options)).train()
    net(torch.rand(4, 1, 40, 40))
    state = net.backbone.state_dict()
    assert ("hidden.3.num_batches_tracked" in state) == kept
    if kept:
        assert state["hidden.3.num_batches_tracked"] == 1


def test_a_training_batch_of_one_on_the_smallest_images() -> None:
    net = ClutteredMNISTCNN(10, image_size=28, width=4, hidden=8).train()
    net.classify(net.features(torch.rand(1, 1, 28, 28))).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
