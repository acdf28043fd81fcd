"""The backbones' side of the contract: points, features, classifier, and their own blocks."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench.backbones.base import Backbone, ModuleOutput
from attnbench.backbones.densenet import DenseNet
from attnbench.backbones.inception import InceptionResNet
from attnbench.backbones.mobilenet import MobileNet
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.backbones.squeezenet import SqueezeNet
from attnbench.backbones.vgg import VGG
from attnbench.backbones.wide_resnet import WideImageNetResNet
from attnbench.backbones.wrn import WideResNet
from attnbench.errors import OptionError

FAMILIES: dict[str, Callable[..., Backbone]] = {
    "resnet basic": lambda **o: ResNet(20, 7, width=4, **o),
    "resnet bottleneck": lambda **o: ResNet(50, 7, width=4, **o),
    "resnet imagenet stem": lambda **o: ResNet(18, 7, width=4, stem="imagenet", **o),
    "preact basic": lambda **o: PreActResNet(20, 7, width=4, **o),
    "preact bottleneck": lambda **o: PreActResNet(20, 7, width=4, block="bottleneck", **o),
    "wrn": lambda **o: WideResNet(10, 1, 7, stem_width=4, **o),
    "resnext": lambda **o: ResNeXt(29, 2, 2, 7, width=4, **o),
    "resnext four stages": lambda **o: ResNeXt(20, 4, 2, 7, width=4, stem="imagenet", blocks=[1, 1, 1, 3], **o),
    "wide resnet": lambda **o: WideImageNetResNet(18, 1.5, 7, width=4, stem="cifar", **o),
    "densenet": lambda **o: DenseNet(22, 4, 7, **o),
    "densenet imagenet stem": lambda **o: DenseNet(21, 4, 7, stem="imagenet", blocks=[1, 2, 2, 3], **o),
    "mobilenet": lambda **o: MobileNet(7, alpha=0.125, stem="cifar", **o),
    "mobilenet imagenet stem": lambda **o: MobileNet(7, alpha=0.07, **o),
    "squeezenet": lambda **o: SqueezeNet(7, stem="cifar", **o),
    "vgg": lambda **o: VGG(11, 7, width=32, head="linear", **o),
    "vgg bn": lambda **o: VGG(11, 7, width=32, head="linear", batch_norm=True, **o),
    "inception": lambda **o: InceptionResNet(7, width=4, blocks=[1, 2, 1], **o),
}


@pytest.fixture(params=list(FAMILIES))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    return FAMILIES[request.param]()


class Double(nn.Module):
    """Doubles a map and hands on its input."""

    def forward(self, x: Tensor) -> ModuleOutput:
        return ModuleOutput(2 * x, {"input": x})


def test_points_tell_the_shapes_that_pass_there(backbone: Backbone) -> None:
    for point in backbone.points:
        backbone.insert(point, Double(), "twice")
    images = torch.randn(2, 3, 64, 96)
    taps = backbone.features(images).taps
    assert taps.keys() == {f"{point}/twice/input" for point in backbone.points}
    for name, place in backbone.points.items():
        found = taps[f"{name}/twice/input"]
        assert found.shape == (2, place.channels, 64 // place.stride, 96 // place.stride)


def test_an_inserted_module_takes_part(backbone: Backbone) -> None:
    backbone.eval()
    images = torch.randn(2, 3, 32, 32)
    plain = backbone.features(images).final
    backbone.insert(f"{backbone.stages[-2]}.out", Double(), "twice")
    assert not torch.allclose(backbone.features(images).final, plain)


def test_each_inserted_module_is_registered_once(backbone: Backbone) -> None:
    module = nn.Conv2d(1, 1, 1)
    backbone.insert(f"{backbone.stages[0]}.out", module, "own")
    registered = [name for name, found in backbone.named_modules(remove_duplicate=False) if found is module]
    assert registered == [f"{backbone.stages[0]}.out.own"]


def test_copies_and_pickles_call_their_own_modules(backbone: Backbone) -> None:
    backbone.insert(f"{backbone.stages[0]}.out", nn.Conv2d(backbone.points["stage1.out"].channels, 4, 1), "own")
    for twin in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        slot = twin.get_submodule("stage1.out")
        assert slot.own is not backbone.get_submodule("stage1.out").own
        assert twin.points == backbone.points


def test_insertion_rejects_unknown_points_and_names_in_use(backbone: Backbone) -> None:
    with pytest.raises(KeyError, match="no point"):
        backbone.insert("stage9.out", Double(), "twice")
    backbone.insert("stage1.out", Double(), "twice")
    with pytest.raises(KeyError, match="already holds"):
        backbone.insert("stage1.out", Double(), "twice")


WITHOUT_BLOCKS = (DenseNet,)
"""Families none of whose layers maps a stage's shape to itself."""


@pytest.fixture
def with_blocks(backbone: Backbone) -> Backbone:
    if isinstance(backbone, WITHOUT_BLOCKS):
        pytest.skip("has no such block")
    return backbone


def test_a_family_without_a_block_of_its_own_says_so() -> None:
    with pytest.raises(NotImplementedError, match="DenseNet has no block to build attention of"):
        DenseNet(22, 4, 7).make_block("stage1")


def test_a_block_of_its_own_keeps_the_shape(with_blocks: Backbone) -> None:
    backbone = with_blocks
    for stage in backbone.stages:
        channels = backbone.points[f"{stage}.out"].channels
        x = torch.randn(2, channels, 5, 7)
        assert backbone.make_block(stage)(x).shape == x.shape


def test_slots_of_inserted_blocks_are_no_points(with_blocks: Backbone) -> None:
    backbone = with_blocks
    before = dict(backbone.points)
    backbone.insert("stage1.out", backbone.make_block("stage1"), "block")
    assert backbone.points == before
    assert "stage1.out.block.residual" not in backbone.slot_paths


def test_the_first_logits_are_of_moderate_size(backbone: Backbone) -> None:
    """Of fresh weights, for images in a batch and one by one (running statistics still at 0 and 1)."""
    images = torch.randn(8, 3, 32, 32)
    for mode in (True, False):
        logits = backbone.train(mode).classify(backbone.features(images))
        assert 0.01 < logits.std() < 30


def test_preactivated_backbones_have_blocks_with_negative_outputs(with_blocks: Backbone) -> None:
    backbone = with_blocks
    for stage in backbone.stages:
        y = backbone.make_block(stage)(torch.randn(2, backbone.points[f"{stage}.out"].channels, 5, 7))
        assert bool(y.min() < 0) == backbone.preactivated


def test_classify_pools_and_classifies(backbone: Backbone) -> None:
    if type(backbone).classify is not Backbone.classify:
        pytest.skip("has a head of another kind")
    features = backbone.features(torch.randn(2, 3, 32, 32))
    logits = backbone.classify(features)
    assert logits.shape == (2, 7)
    assert torch.allclose(logits, backbone.classifier(features.final.flatten(2).mean(-1)), atol=1e-6)


def test_a_removed_classifier_leaves_no_parameters(backbone: Backbone) -> None:
    size = sum(p.numel() for p in backbone.classifier.parameters())
    before = sum(p.numel() for p in backbone.parameters())
    backbone.remove_classifier()
    assert not backbone.has_classifier
    assert sum(p.numel() for p in backbone.parameters()) == before - size


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_features_compile_in_place_as_one_graph(backbone: Backbone, memory_format: torch.memory_format) -> None:
    """With modules at every point."""
    for point in backbone.points:
        backbone.insert(point, Double(), "twice")
    images = torch.randn(2, 3, 32, 32).to(memory_format=memory_format)
    backbone.to(memory_format=memory_format)
    expected = backbone.eval().features(images)
    backbone.compile(fullgraph=True, backend="aot_eager")
    found = backbone.features(images)
    assert torch.allclose(found.final, expected.final, rtol=1e-4, atol=1e-5 * expected.final.abs().max().item())
    assert found.taps.keys() == expected.taps.keys()


def test_bottlenecks_are_where_downsampling_follows(backbone: Backbone) -> None:
    if isinstance(backbone, DenseNet):  # before and after each transition
        between = range(1, len(backbone.stages))
        assert backbone.bottlenecks == tuple(f"transition{i}.{side}" for i in between for side in ("in", "out"))
    else:
        assert backbone.bottlenecks == tuple(f"{stage}.out" for stage in backbone.stages[:-1])


def test_preactivation_points_hold_the_previous_stage() -> None:
    backbone = PreActResNet(20, 7, width=4)
    assert backbone.points["stage3.pre"] == backbone.points["stage2.out"]
    assert "stage3.block0.pre" not in backbone.points


def test_preactivation_points_of_dense_networks() -> None:
    backbone = DenseNet(22, 4, 7)
    assert backbone.points["stage3.pre"] == backbone.points["stage2.out"] == backbone.points["transition2.in"]
    assert backbone.points["stage3.pre"] != backbone.points["transition2.out"]
    assert "transition2.pre" not in backbone.points


def test_one_and_three_channels_and_any_size() -> None:
    assert ResNet(20, 7, in_channels=1, width=4)(torch.randn(2, 1, 33, 47)).final.shape == (2, 16, 9, 12)


@pytest.mark.parametrize(
    ("family", "sizes", "options", "key"),
    [
        (ResNet, [21, 10], {}, "depth"),
        (ResNet, [50, 10], {"block": "basic"}, "block"),
        (ResNet, [34, 10], {"block": "bottleneck"}, "block"),
        (ResNet, [20, 10], {"width": 0}, "width"),
        (ResNet, [20, 10], {"stride_in": "1x1"}, "stride_in"),
        (ResNet, [20, 10], {"block": "wide"}, "block"),
        (ResNet, [20, 10], {"stem": "big"}, "stem"),
        (ResNet, [20, 10], {"shortcut": "none"}, "shortcut"),
        (PreActResNet, [21, 10], {}, "depth"),
        (PreActResNet, [20, 10], {"stride_in": "1x1"}, "stride_in"),
        (DenseNet, [101, 12, 10], {}, "depth"),
        (DenseNet, [4, 12, 10], {}, "depth"),
        (DenseNet, [22, 12, 10], {"blocks": [3, 3]}, "depth"),
        (DenseNet, [22, 12, 10], {"blocks": []}, "blocks"),
        (DenseNet, [22, 12, 10], {"blocks": "three"}, "blocks"),
        (DenseNet, [22, 0, 10], {}, "growth"),
        (DenseNet, [22, 12, 10], {"stem": "big"}, "stem"),
        (MobileNet, [10], {"alpha": 0.03}, "alpha"),
        (MobileNet, [10], {"alpha": 100.0}, "alpha"),
        (MobileNet, [10], {"stem": "big"}, "stem"),
        (SqueezeNet, [10], {"width": 6}, "width"),
        (SqueezeNet, [10], {"width": 0}, "width"),
        (SqueezeNet, [10], {"dropout": 1.0}, "dropout"),
        (SqueezeNet, [10], {"stem": "big"}, "stem"),
        (VGG, [12, 10], {}, "depth"),
        (VGG, [11, 10], {"width": 0}, "width"),
        (VGG, [11, 10], {"hidden": 0}, "hidden"),
        (VGG, [11, 10], {"dropout": 1.0}, "dropout"),
        (VGG, [11, 10], {"head": "big"}, "head"),
        (WideResNet, [11, 1, 10], {}, "depth"),
        (WideResNet, [10, 0, 10], {}, "width"),
        (WideResNet, [10, 1, 10], {"dropout": 1.0}, "dropout"),
    ],
)
def test_options_out_of_range_are_named(
    family: Callable[..., Backbone], sizes: list[int], options: dict[str, Any], key: str
) -> None:
    with pytest.raises(OptionError) as caught:
        family(*sizes, **options)
    assert caught.value.key == key


def test_stem_follows_the_image_size() -> None:
    small, large = ResNet(18, 10, image_size=32), ResNet(18, 10, image_size=224)
    assert (small.points["stage1.out"].stride, large.points["stage1.out"].stride) == (1, 4)


def test_dropout_acts_in_training_alone() -> None:
    net = WideResNet(10, 1, 7, stem_width=4, dropout=0.5)
    images = torch.randn(2, 3, 16, 16)
    assert not torch.equal(net.train()(images).final, net(images).final)
    assert torch.equal(net.eval()(images).final, net(images).final)
