"""Points at single convolutions: where they are, and that a network without modules there is the plain one."""

import copy
import pickle

import pytest
import torch
from torch import nn

from attnbench.attention.base import Tap
from attnbench.backbones.adapters.timm import TimmBackbone
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.base import Backbone, Point
from attnbench.backbones.cluttered_mnist_cnn import ClutteredMNISTCNN
from attnbench.backbones.mobilenet import MobileNet
from attnbench.backbones.points import PointError
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.wrn import WideResNet
from attnbench.construct import guarded
from attnbench.errors import UserError
from attnbench.weights.load import fit
from tests.backbones.test_base import FAMILIES, Double

FAMILIES = {**FAMILIES, "cluttered mnist cnn": lambda **o: ClutteredMNISTCNN(7, 3, 64, width=4, **o)}


@pytest.fixture(params=list(FAMILIES))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    return FAMILIES[request.param]()


def places(backbone: Backbone) -> list[str]:
    return [f"{name}.{side}" for name in backbone.convolutions for side in ("in", "out")]


def test_every_convolution_of_the_trunk_is_known_by_its_path(backbone: Backbone) -> None:
    found = {path for path, layer in backbone.named_modules() if isinstance(layer, nn.Conv2d)}
    assert {*backbone.convolutions} == {path for path in found if not path.startswith("classifier")}
    assert all(name == convolution.path for name, convolution in backbone.convolutions.items())


def test_points_tell_the_shapes_that_pass_there(backbone: Backbone) -> None:
    side = backbone.image_size or 64
    for point in places(backbone):
        backbone.insert(point, Double(), "twice")
    taps = backbone.eval().features(torch.randn(2, 3, side, side)).taps
    assert {*taps} == {f"{point}/twice/input" for point in places(backbone)}
    for name in places(backbone):
        found = taps[f"{name}/twice/input"]
        assert backbone.points[name] == backbone.point(name)
        assert found.shape[1] == backbone.points[name].channels
        assert 0.5 < found.shape[2] * backbone.points[name].stride / side <= 1, name


def test_looking_for_convolutions_changes_nothing(backbone: Backbone) -> None:
    state, points = copy.deepcopy(backbone.state_dict()), dict(backbone.points)
    backbone.train()
    assert backbone.convolutions
    assert backbone.training
    assert backbone.points == points
    assert backbone.current is None
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())
    assert {type(m) for m in backbone.modules() if type(m).__name__ == "Conv2d"} <= {nn.Conv2d}
    assert not any(module._forward_hooks for module in backbone.modules())


def test_modules_that_do_nothing_leave_results_and_names_of_weights(backbone: Backbone) -> None:
    side = backbone.image_size or 64
    images, state = torch.randn(2, 3, side, side), set(backbone.state_dict())
    expected = backbone.eval().features(images).final
    for point in places(backbone):
        backbone.insert(point, Tap(), "tap")
    features = backbone.features(images)
    assert torch.equal(features.final, expected)
    assert len(features.taps) == len(places(backbone))
    assert set(backbone.state_dict()) == state
    assert {f"{c.path}.{child}" for c in backbone.convolutions.values() for child in ("before", "out")} <= (
        backbone.slot_paths
    )


def test_copies_and_pickles_call_their_own_modules() -> None:
    backbone = ResNet(8, 7, width=4)
    backbone.insert("stage1.block0.conv2.out", nn.Conv2d(4, 4, 1), "own")
    backbone.insert("stage1.block0.conv2.in", Double(), "twice")
    images = torch.randn(2, 3, 16, 16)
    expected = backbone.eval().features(images)
    for twin in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        found = twin.features(images)
        assert torch.equal(found.final, expected.final)
        assert [*found.taps] == ["stage1.block0.conv2.in/twice/input"]
        with torch.no_grad():
            twin.get_parameter("stage1.block0.conv2.out.own.weight").zero_()
        assert not torch.equal(twin.features(images).final, expected.final)
        assert torch.equal(backbone.features(images).final, expected.final)
        assert backbone.current is not None
        assert backbone.current.taps is None


def test_one_module_behind_another_and_a_layer_of_another_class() -> None:
    net = WideResNet(10, 1, 7, stem_width=4, dropout=0.5, dropout_kind="channel").eval()
    images, point = torch.randn(2, 3, 16, 16), "stage1.block0.conv2.out"
    expected = net.features(images).final
    for name in ("first", "second"):
        net.insert(point, Double(), name)
    taps = net.features(images).taps
    assert torch.equal(taps[f"{point}/second/input"], 2 * taps[f"{point}/first/input"])
    with pytest.raises(KeyError, match="already holds"):
        net.insert(point, Double(), "first")
    assert not torch.equal(net.train().features(images).final, expected)  # its dropout is still there


def test_what_is_no_convolution_has_no_such_point(backbone: Backbone) -> None:
    for name in ("stage1.block0.conv9.in", "stage1.block0.conv1.middle", "stage1.block0.bn1.out"):
        with pytest.raises(PointError, match="no point"):
            backbone.insert(name, Double(), "twice")


def test_an_unknown_point_is_the_users_mistake(backbone: Backbone) -> None:
    with pytest.raises(UserError, match=r"^attention: no point 'stage9\.out'; the points are "):
        guarded("attention", lambda: backbone.insert("stage9.out", Double(), "twice"))


def test_weights_of_the_plain_network_load() -> None:
    plain, other = ResNet(8, 7, width=4), ResNet(8, 7, width=4)
    other.insert("stage1.block0.conv2.in", nn.Conv2d(4, 4, 1), "own")
    assert set(fit(other, plain.state_dict(), "plain").state) == set(plain.state_dict())
    assert fit(plain, other.state_dict(), "other").left_out == ["what an attention inserted"]


def test_what_is_inserted_is_no_layer_of_the_backbone() -> None:
    net, module = ResNet(8, 7, width=4), nn.Conv2d(4, 4, 1)
    net.insert("stage1.block0.conv2.in", module, "own")
    own = list(net.own_modules("stage3"))
    assert module not in own
    assert net.get_submodule("stage1.block0.conv2") in own


@pytest.mark.parametrize("family", ["resnet bottleneck", pytest.param("densenet", marks=pytest.mark.slow)])
def test_features_compile_in_place_as_one_graph(family: str) -> None:
    net = FAMILIES[family]().eval()
    for point in places(net):
        net.insert(point, Double(), "twice")
    images = torch.randn(2, 3, 16, 16)
    expected = net.features(images)
    net.compile(fullgraph=True, backend="aot_eager")
    found = net.features(images)
    torch.testing.assert_close(found.final, expected.final, rtol=1e-4, atol=1e-4 * expected.final.abs().max().item())
    assert found.taps.keys() == expected.taps.keys()


ROLES = {
    "resnet": (lambda: ResNet(11, 7, width=4, block="bottleneck"), ["stage1.block0.conv2"], []),
    "preact": (lambda: PreActResNet(8, 7, width=4), ["stage1.block0.conv2"], []),
    "mobilenet": (lambda: MobileNet(7, alpha=0.125), ["stem_block.depthwise"], ["stage1.block0.pointwise"]),
    "torchvision resnet": (lambda: TorchvisionBackbone("resnet18", 7, 3, 64), ["stage1.block0.conv2"], []),
    "torchvision mobilenet_v2": (
        lambda: TorchvisionBackbone("mobilenet_v2", 7, 3, 64),
        ["net.features.1.conv.0.0"],
        ["stage1.block0.conv.2"],
    ),
    "timm mobilenetv2": (
        lambda: TimmBackbone("mobilenetv2_035", 7, 3, 64),
        ["net.blocks.0.0.conv_dw"],
        ["stage1.block0.conv_pwl"],
    ),
    "timm efficientnet": (lambda: TimmBackbone("efficientnet_b0", 7, 3, 64), [], []),
    "inception": (FAMILIES["inception"], [], []),
    "densenet": (FAMILIES["densenet"], [], []),
}


@pytest.mark.parametrize("family", ROLES)
def test_blocks_name_their_spatial_and_projecting_convolutions(family: str) -> None:
    make, *expected = ROLES[family]
    net = make()
    found = [net.convolutions_with_role(role) for role in ("spatial", "projection")]
    assert [names[:1] for names in found] == expected
    layers = [[net.get_submodule(net.convolutions[name].path) for name in names] for names in found]
    assert all(layer.kernel_size == (3, 3) for layer in layers[0])
    assert all(layer.kernel_size == (1, 1) for layer in layers[1])


def test_convolutions_of_a_library_have_the_names_of_their_blocks() -> None:
    net = TorchvisionBackbone("resnet50", 7, 3, 64)
    assert [*net.convolutions][:2] == ["net.conv1", "stage1.block0.conv1"]
    assert net.convolutions["stage2.block0.downsample.0"].path == "net.layer2.0.downsample.0"
    assert net.point("stage2.block0.downsample.0.in") == Point(256, 4)
    assert net.point("stage2.block0.conv2.out") == Point(128, 8)


def test_convolutions_of_pooled_vectors_are_not_those_of_maps() -> None:
    net = TimmBackbone("seresnet18", 7, 3, 64)
    assert not [name for name in net.convolutions if ".se." in name]
    assert any(".se." in path for path, layer in net.net.named_modules() if isinstance(layer, nn.Conv2d))


def test_a_library_network_is_the_same_with_modules_that_do_nothing() -> None:
    net = TorchvisionBackbone("mobilenet_v2", 7, 3, 64).eval()
    images = torch.randn(2, 3, 64, 64)
    expected, state = net.features(images).final, set(net.state_dict())
    for point in places(net):
        net.insert(point, Tap(), "tap")
    twin = pickle.loads(pickle.dumps(net))
    for found in (net.features(images), twin.features(images)):
        assert torch.equal(found.final, expected)
        assert len(found.taps) == 2 * len(net.convolutions)
    assert set(net.state_dict()) == state
