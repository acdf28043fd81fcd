"""SqueezeNet 1.1 against torchvision's, its maps' sizes, its head."""

import pytest
import torch
from torchvision.models import squeezenet1_1

from attnbench.attention.base import Tap
from attnbench.backbones.base import Features
from attnbench.backbones.layers import Stem
from attnbench.backbones.squeezenet import SqueezeNet
from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from tests.backbones.torchvisions import Spelling, assert_same_logits

FIRST = {"1": 3, "2": 6, "3": 9}
"""Place of each stage's first fire module among torchvision's layers."""
NAMES: Spelling = {
    r"^stem\.": "features.",
    r"^stage(\d)\.block(\d)": lambda m: f"features.{FIRST[m[1]] + int(m[2])}",
    "expand1": "expand1x1",
    "expand3": "expand3x3",
}


@pytest.mark.smoke
@pytest.mark.parametrize("size", [(65, 97), (224, 224)], ids=str)
def test_it_computes_what_torchvisions_does(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = SqueezeNet(7)
    assert_same_logits(ours, squeezenet1_1(num_classes=7), NAMES, torch.randn(2, 3, *size))


@pytest.mark.smoke
@pytest.mark.parametrize(("stem", "image", "sides"), [("imagenet", 224, (55, 27, 13)), ("cifar", 32, (32, 16, 8))])
def test_maps_before_each_pooling(stem: Stem, image: int, sides: tuple[int, ...]) -> None:
    net = SqueezeNet(7, width=4, stem=stem)
    for stage in net.stages:
        net.insert(f"{stage}.out", Tap(), "tap")
    taps = net.features(torch.randn(1, 3, image, image)).taps
    channels = (8, 16, 32)
    assert [value.shape[1:] for value in taps.values()] == [(c, s, s) for c, s in zip(channels, sides, strict=True)]


def test_bam_stands_before_the_second_and_third_pooling() -> None:
    overrides = ["backbone=squeezenet1_1", "backbone.stem=imagenet", "attention=bam", "data=cifar100"]
    net = build_model_on_meta(compose(overrides)).backbone
    assert [net.points[point] for point in net.bottlenecks] == [(128, 4), (256, 8)]
    inserted = [path for path in net.slot_paths if hasattr(net.get_submodule(path), "bam")]
    assert sorted(inserted) == ["stage1.out", "stage2.out"]


def test_the_head_classifies_positions_and_then_pools() -> None:
    torch.manual_seed(0)
    net = SqueezeNet(7, width=4).eval()
    x = torch.randn(2, 32, 3, 5)
    weight, bias = net.get_parameter("classifier.1.weight")[:, :, 0, 0], net.get_parameter("classifier.1.bias")
    maps = torch.einsum("lc,bchw->blhw", weight, x) + bias[:, None, None]
    assert torch.allclose(net.classify(Features(x, {})), maps.clamp_min(0).mean((2, 3)), atol=1e-6)


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    net, x = SqueezeNet(7, width=4), Features(torch.rand(2, 32, 3, 5), {})
    assert not torch.equal(net.train().classify(x), net.classify(x))
    assert torch.equal(net.eval().classify(x), net.classify(x))
