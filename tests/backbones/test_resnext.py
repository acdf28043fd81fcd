"""ResNeXt against torchvision's networks, weight by weight, and as its name spells it."""

import pytest
import torch
from torchvision.models import resnet as torchvisions

from attnbench.backbones.resnext import ResNeXt
from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import count_parameters
from attnbench.errors import OptionError
from tests.backbones.torchvisions import RESNET_NAMES, assert_same_logits


@pytest.mark.parametrize(("cardinality", "base_width"), [(32, 4), (8, 16), (1, 64)])
def test_it_computes_what_torchvisions_does(cardinality: int, base_width: int) -> None:
    blocks = [1, 2, 1, 1]
    torch.manual_seed(0)
    ours = ResNeXt(17, cardinality, base_width, 7, stem="imagenet", blocks=blocks)
    options = {"num_classes": 7, "groups": cardinality, "width_per_group": base_width}
    theirs = torchvisions.ResNet(torchvisions.Bottleneck, blocks, **options)
    assert_same_logits(ours, theirs, RESNET_NAMES, torch.randn(2, 3, 65, 47))


@pytest.mark.parametrize("name", ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"])
def test_the_named_networks_have_the_size_of_torchvisions(name: str) -> None:
    net = build_model_on_meta(compose([f"backbone={name}", "backbone.stem=imagenet", "data=cifar100"]))
    with torch.device("meta"):
        theirs = getattr(torchvisions, name)(num_classes=100)
    assert count_parameters(net) == count_parameters(theirs)


def test_names_that_hold_three_values() -> None:
    short = compose(["backbone=resnext29_16x64d"])
    long = compose(["backbone=resnext", "backbone.depth=29", "backbone.cardinality=16", "backbone.base_width=64"])
    assert short.values == long.values
    assert short.identity == long.identity


@pytest.mark.parametrize(("width", "cardinality", "base_width"), [(64, 8, 64), (16, 4, 3), (5, 3, 7)])
def test_groups_and_widths_of_every_stage(width: int, cardinality: int, base_width: int) -> None:
    with torch.device("meta"):
        net = ResNeXt(20, cardinality, base_width, 10, width=width)
        own = [net.make_block(stage) for stage in net.stages]
    for index, block in enumerate(own):
        for found in (
            block,
            net.get_submodule(f"stage{index + 1}.block0"),
            net.get_submodule(f"stage{index + 1}.block1"),
        ):
            conv = found.get_submodule("conv2")
            assert isinstance(conv, torch.nn.Conv2d)
            assert conv.groups == cardinality
            assert conv.in_channels == conv.out_channels == cardinality * base_width * 2**index
        assert net.points[f"stage{index + 1}.out"].channels == 4 * width * 2**index


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"depth": 30}, "depth"),
        ({"depth": 34}, "depth"),  # basic blocks alone
        ({"depth": 20, "blocks": [1, 1, 3]}, "depth"),
        ({"blocks": []}, "blocks"),
        ({"blocks": "many"}, "blocks"),
        ({"cardinality": 0}, "cardinality"),
        ({"base_width": 0}, "base_width"),
        ({"width": 0}, "width"),
        ({"stride_in": "2x2"}, "stride_in"),
        ({"stem": "big"}, "stem"),
    ],
    ids=str,
)
def test_options_that_make_no_network(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        ResNeXt(**{"depth": 29, "cardinality": 2, "base_width": 2, "num_classes": 10, **options})  # type: ignore[arg-type]
    assert caught.value.key == key
