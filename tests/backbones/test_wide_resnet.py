"""Wide ResNets for ImageNet: torchvision's weights, widths, names."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet as torchvisions

from attnbench.backbones.wide_resnet import Depth, WideImageNetResNet
from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.config.parametric_names import short_name
from attnbench.errors import OptionError
from tests.backbones.torchvisions import RESNET_NAMES, assert_same_logits


def test_wide_resnet50_2_computes_what_torchvisions_does() -> None:
    torch.manual_seed(0)
    ours = WideImageNetResNet(50, 2, 7)
    with torch.device("meta"):
        theirs = torchvisions.wide_resnet50_2(num_classes=7)
    assert_same_logits(ours, theirs, RESNET_NAMES, torch.randn(2, 3, 65, 47))


@pytest.mark.parametrize(
    ("depth", "factor", "inner", "out"),
    [(18, 1.5, 96, 96), (18, 2.0, 128, 128), (34, 0.7, 44, 44), (50, 2.0, 128, 256), (50, 1.5, 96, 256)],
)
def test_what_is_widened(depth: Depth, factor: float, inner: int, out: int) -> None:
    with torch.device("meta"):
        net = WideImageNetResNet(depth, factor, 10)
        own = [net.make_block(stage) for stage in net.stages]
    assert len(net.stages) == 4
    assert net.get_parameter("stem.0.weight").shape == (64, 3, 7, 7)
    for index, stage in enumerate(net.stages):
        for block in (own[index], net.get_submodule(f"{stage}.block0"), net.get_submodule(f"{stage}.block1")):
            convolution = block.get_submodule("conv2")
            assert isinstance(convolution, nn.Conv2d)
            assert convolution.out_channels == inner * 2**index
        assert net.points[f"{stage}.out"].channels == out * 2**index


@pytest.mark.parametrize(
    ("name", "depth", "factor", "shown"),
    [
        ("wide_resnet50_2", 50, 2.0, "wide_resnet50_2"),
        ("wide_resnet18_1.5", 18, 1.5, "wide_resnet18_1.5"),
        ("wide_resnet18_2.0", 18, 2.0, "wide_resnet18_2"),
    ],
)
def test_names_that_hold_a_fraction(name: str, depth: int, factor: float, shown: str) -> None:
    short = compose([f"backbone={name}"])
    long = compose(["backbone=wide_resnet", f"backbone.depth={depth}", f"backbone.factor={factor}"])
    assert short.identity == long.identity
    assert (short["backbone"]["depth"], short["backbone"]["factor"]) == (depth, factor)
    assert short_name(short.choices["backbone"], short["backbone"]) == shown
    assert len(build_model_on_meta(short).backbone.stages) == 4


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"depth": 20}, "depth"),
        ({"factor": 0.0}, "factor"),
        ({"factor": 0.01}, "factor"),
        ({"factor": float("inf")}, "factor"),
        ({"width": 0}, "width"),
        ({"stride_in": "2x2"}, "stride_in"),
        ({"stride_in": "1x1"}, "stride_in"),  # basic blocks
        ({"stem": "big"}, "stem"),
    ],
    ids=str,
)
def test_options_that_make_no_network(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        WideImageNetResNet(**{"depth": 18, "factor": 2.0, "num_classes": 10, **options})  # type: ignore[arg-type]
    assert caught.value.key == key
