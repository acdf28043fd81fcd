"""Backbones of torchvision and timm compute what the libraries' own networks compute, and take attention."""

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention, Tap
from attnbench.attention.ggam import GGAM
from attnbench.attention.se import SE
from attnbench.backbones.adapters.base import LibraryBackbone
from attnbench.backbones.adapters.timm import TimmBackbone
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.base import Backbone, Slot
from attnbench.build import build_model, build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count, count_parameters
from attnbench.errors import UserError

CLASSES = 7
LONG_TAIL = [
    "torchvision/resnet50", "torchvision/wide_resnet50_2", "torchvision/vgg16_bn", "torchvision/mobilenet_v2",
    "torchvision/regnet_y_400mf", "torchvision/convnext_tiny", "torchvision/mnasnet0_5", "torchvision/googlenet",
    "torchvision/efficientnet_v2_s", "torchvision/regnet_x_400mf", "torchvision/swin_v2_t", "torchvision/densenet121",
    "torchvision/alexnet", "torchvision/resnext50_32x4d", "torchvision/inception_v3", "timm/densenet121",
    "timm/resnext50_32x4d", "timm/vgg11_bn", "timm/xception41", "timm/dla34", "timm/coatnet_0_rw_224",
    "timm/resnetv2_50", "timm/ghostnet_100", "timm/inception_v3", "timm/swin_tiny_patch4_window7_224",
    "timm/efficientnet_b0", "timm/seresnet18", "timm/res2net50_26w_4s", "timm/repvgg_a0", "timm/mobilevit_xxs",
    "timm/nfnet_f0", "timm/pvt_v2_b0", "timm/fastvit_t8",
]  # fmt: skip
USUAL = [
    "torchvision/resnet18", "torchvision/mobilenet_v3_small", "torchvision/efficientnet_b0",
    "torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x1_0", "torchvision/swin_t",
    "timm/resnet18", "timm/convnext_atto", "timm/mobilenetv3_small_100", "timm/regnety_002",
]  # fmt: skip
NETS = [*USUAL, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG_TAIL)]
SIZES = {"torchvision/inception_v3": 192, "timm/inception_v3": 192, "timm/nfnet_f0": 96, "torchvision/alexnet": 224}
FIXED = ("timm/coatnet_0_rw_224", "timm/swin_tiny_patch4_window7_224")
"""Networks that timm builds for one size of images."""


def side_of(name: str) -> int:
    return SIZES.get(name, 64)


def ours(name: str, classes: int = CLASSES, in_channels: int = 3) -> LibraryBackbone:
    library, _, own = name.partition("/")
    make: type[LibraryBackbone] = TorchvisionBackbone if library == "torchvision" else TimmBackbone
    return make(own, classes, in_channels, side_of(name))


def theirs(name: str) -> nn.Module:
    library, _, own = name.partition("/")
    if library == "timm":
        size: dict[str, Any] = {"img_size": side_of(name)} if name in FIXED else {}
        return timm.create_model(own, num_classes=CLASSES, **size)
    auxiliary = {"aux_logits": False, "init_weights": True} if own in ("googlenet", "inception_v3") else {}
    return cast(nn.Module, torchvision.models.get_model(own, num_classes=CLASSES, **auxiliary))


def images_for(name: str, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side_of(name), side_of(name))


@pytest.mark.parametrize("name", NETS)
def test_it_is_the_librarys_own_network(name: str) -> None:
    net, own = ours(name).eval(), theirs(name).eval()
    net.net.load_state_dict(own.state_dict())
    assert count_parameters(net) == count_parameters(own)
    images = images_for(name)
    with torch.no_grad():
        expected = own(images)
        torch.testing.assert_close(net.classify(net.features(images)), expected, rtol=1e-6, atol=1e-6)
    assert net.current is not None
    assert net.current.taps is None


@pytest.mark.parametrize("name", NETS)
def test_points_are_what_passes_there(name: str) -> None:
    net = ours(name).eval()
    for point in net.points:
        net.insert(point, Tap(), "tap")
    with torch.no_grad():
        features = net.features(images_for(name))
    assert list(net.points)[-1] == f"{net.stages[-1]}.out"
    for point, (channels, stride) in net.points.items():
        x = features.taps[f"{point}/tap/map"]
        assert x.shape[1] == channels, point
        assert side_of(name) / stride / 1.8 < x.shape[2] <= side_of(name) / stride, point
    assert torch.equal(features.taps[f"{net.stages[-1]}.out/tap/map"], features.final)
    assert len(features.taps) == len(net.points)
    assert len(net.stages) >= 3


@pytest.mark.parametrize("name", NETS)
def test_with_bam_it_trains_and_copies(name: str) -> None:
    if name == "timm/nfnet_f0":
        pytest.skip("its blocks start with a gain of 0, which passes no gradient")
    net = Classifier(ours(name), BAM(reduction=8))
    output = net.output(images_for(name))
    net.losses(output, torch.tensor([1, 2]))["cross_entropy"].backward()
    idle = [path for path, parameter in net.named_parameters() if parameter.grad is None]
    assert not idle
    assert len(net.maps(output)) == len(net.backbone.bottlenecks) >= 2
    net.eval()
    images = images_for(name)
    with torch.no_grad():
        expected = net(images)
        twin = copy.deepcopy(net)
        assert torch.equal(twin(images), expected)
        assert torch.equal(pickle.loads(pickle.dumps(net))(images), expected)
        for parameter in twin.parameters():
            parameter.add_(1)
        assert torch.equal(net(images), expected)
        fresh = Classifier(ours(name), BAM(reduction=8)).eval()
        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(fresh(images), expected)


def test_a_pickle_is_read_in_another_process(own_folder: Any) -> None:
    net = Classifier(ours("torchvision/resnet18"), BAM()).eval()
    images = images_for("torchvision/resnet18")
    torch.save((images, net(images).detach()), "expected.pt")
    torch.save(net, "net.pt")
    code = (
        "import torch; net = torch.load('net.pt', weights_only=False); images, expected = torch.load('expected.pt'); "
        "assert torch.allclose(net(images), expected, atol=1e-5); assert len(net.maps(net.output(images))) == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "efficientnet_b0", "regnety_002"])
def test_stages_end_where_timms_features_are(name: str) -> None:
    net, own = TimmBackbone(name, CLASSES, 3, 64).eval(), timm.create_model(name, features_only=True).eval()
    state = {name.replace("features.", "features_"): value for name, value in net.net.state_dict().items()}
    assert not own.load_state_dict(state, strict=False).missing_keys
    for stage in net.stages[:-1]:
        net.insert(f"{stage}.out", Tap(), "tap")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = {x.shape[2]: x for x in own(images)}
        for stage in net.stages[:-1]:
            x = net.features(images).taps[f"{stage}.out/tap/map"]
            assert torch.equal(x, expected[64 // net.points[f"{stage}.out"].stride])


class Off(nn.Module):
    """Puts out zeros."""

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x


RESIDUAL = {
    "torchvision/resnet18": torch.relu,
    "timm/resnet18": torch.relu,
    "timm/seresnet18": torch.relu,
    "torchvision/mobilenet_v2": lambda x: x,
    "torchvision/mobilenet_v3_small": lambda x: x,
    "torchvision/convnext_tiny": lambda x: x,
    "torchvision/efficientnet_b0": lambda x: x,
    "torchvision/regnet_y_400mf": torch.relu,
    "timm/convnext_atto": lambda x: x,
    "timm/efficientnet_b0": lambda x: x,
    "timm/regnety_002": torch.relu,
}
"""What a block of these networks makes of its input when nothing is added to it."""


@pytest.mark.parametrize("name", RESIDUAL)
def test_what_a_residual_point_holds_back_is_all_that_a_block_adds(name: str) -> None:
    net = ours(name).eval()
    with_two = (p.removesuffix(".residual") for p in net.match("stage*.block*.residual") if ".block0." not in p)
    block = list(with_two)[-1]
    number = int(block.rpartition("block")[2])
    before = f"{block.removesuffix(str(number))}{number - 1}"
    net.insert(f"{before}.out", Tap(), "tap")
    net.insert(f"{block}.residual", Off(), "off")
    net.insert(f"{block}.out", Tap(), "tap")
    with torch.no_grad():
        taps = net.features(images_for(name)).taps
    assert torch.equal(taps[f"{block}.out/tap/map"], RESIDUAL[name](taps[f"{before}.out/tap/map"]))


def test_attention_in_every_block() -> None:
    net = Classifier(ours("torchvision/resnet18"), SE())
    assert len(net.backbone.match("stage*.block*.residual")) == 8
    assert len(net.inserted_paths) == 8
    without_blocks = Classifier(ours("torchvision/squeezenet1_1"), SE())
    assert without_blocks.inserted_paths == [f"backbone.{stage}.out.se" for stage in without_blocks.backbone.stages]


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "mobilenetv4_conv_medium", "mobilenetv4_hybrid_medium"])
def test_every_residual_block_of_mobilenet_v4_has_points(name: str) -> None:
    with torch.device("meta"):
        net = ours(f"timm/{name}")
    skips = [module for module in net.net.modules() if getattr(module, "has_skip", False)]
    assert len(net.match("stage*.block*.residual")) == len(skips) > 5


def test_convolutions_of_pooled_vectors_have_no_points() -> None:
    with torch.device("meta"):
        net = ours("timm/resnetrs50")
    assert net.probe_size == 160  # no power of two
    assert "stage1.block0.conv2" in net.convolutions
    assert not [name for name in net.convolutions if ".se." in name]


@pytest.mark.parametrize(
    "name",
    ["torchvision/resnet18", "torchvision/mobilenet_v3_small", "timm/mobilenetv3_small_100", "timm/vgg11_bn"],
)
def test_a_replaced_head_leaves_nothing_behind(name: str) -> None:
    net = Classifier(ours(name), GGAM(head="linear"))
    assert not net.backbone.has_classifier
    output = net.output(images_for(name))
    torch.stack(list(net.losses(output, torch.tensor([1, 2])).values())).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    with torch.device("meta"):
        backbone = ours(name)
    own = {id(p) for path in backbone.head_paths for p in backbone.get_submodule(path).parameters()}
    assert count_parameters(net.backbone) == sum(p.numel() for p in backbone.parameters() if id(p) not in own)


@pytest.mark.parametrize("attention", ["gated", "ggam", "bam"])
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_attentions_that_fit_train(attention: str, library: str) -> None:
    net = build_model(compose([f"backbone={library}/resnet18", f"attention={attention}", "data=cifar10"]))
    output = net.output(torch.randn(2, 3, 32, 32))
    torch.stack(list(net.losses(output, torch.tensor([1, 2])).values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert net.maps(output)


def test_the_backbones_own_layers_are_distinguished_from_head_and_attention() -> None:
    plain = theirs("torchvision/resnet18")
    net = Classifier(ours("torchvision/resnet18"), BAM())
    own = sum(parameter.numel() for parameter in net.backbone_parameters())
    assert own == count_parameters(plain) - count_parameters(plain.get_submodule("fc"))


def test_costs_are_the_librarys_and_the_attentions() -> None:
    with torch.device("meta"):
        nets = [Classifier(TorchvisionBackbone("resnet18", 1000), a) for a in (Attention(), BAM())]
    plain, refined = (count(net, 3, 224) for net in nets)
    assert (plain.parameters, plain.multiply_adds) == (11_689_512, 1_814_073_344)  # torchvision: 1.81 GFLOPs
    assert plain.attention_multiply_adds == 0
    assert refined.attention_multiply_adds == refined.multiply_adds - plain.multiply_adds > 0
    assert refined.attention_parameters == refined.parameters - plain.parameters > 0


@pytest.mark.parametrize(
    "name",
    [
        "timm/resnet18",
        *(pytest.param(f"torchvision/{name}", marks=pytest.mark.slow) for name in ("resnet18", "swin_t")),
    ],
)
def test_features_compile_in_place_as_one_graph(name: str) -> None:
    net = Classifier(ours(name), BAM()).eval()
    images, names = images_for(name), set(net.state_dict())
    with torch.no_grad():
        expected = net(images)
        net.backbone.compile(fullgraph=True, backend="aot_eager")
        assert torch.allclose(net(images), expected, atol=1e-5)
        assert len(net.maps(net.output(images))) == 3
    assert set(net.state_dict()) == names


@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/efficientnet_b0", "timm/regnety_002"])
def test_images_of_one_channel(name: str) -> None:
    net = ours(name, in_channels=1)
    assert net.classify(net.features(torch.randn(2, 1, 32, 32))).shape == (2, CLASSES)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_weights_are_the_seeds_however_the_network_is_looked_at(library: str) -> None:
    config = compose([f"backbone={library}/regnet_y_400mf" if library == "torchvision" else "backbone=timm/resnet18"])
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_model(config).state_dict())
        build_model_on_meta(config)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def rejection(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        build_model_on_meta(compose(["data=cifar10", *overrides]))
    assert "\n" not in str(caught.value)
    return str(caught.value)


NO_SUCH = "has no such classifier; did you mean resnet50?"
TOKENS = "where attention needs maps (B, C, H, W)"
MISTAKES = {
    ("backbone=torchvision/resnet5",): f"backbone.name=resnet5: torchvision {NO_SUCH}",
    ("backbone=timm/resnet5",): f"backbone.name=resnet5: timm {NO_SUCH}",
    ("backbone=timm/resnet18.nope",): "timm has no such weights for resnet18 (there are: resnet18.",
    ("backbone=torchvision/vit_b_16",): f"cannot be a backbone: it works on tokens, {TOKENS}",
    ("backbone=torchvision/maxvit_t",): "cannot be a backbone: its forward pass is none of ResNet",
    ("backbone=timm/vit_tiny_patch16_224",): f"cannot be a backbone: it hands on (1, 5, 192), {TOKENS}",
    ("backbone=timm/mixer_s16_224",): TOKENS,
    ("backbone=timm/hrnet_w18_small",): "it hands on a list",
    ("backbone=torchvision/alexnet",): "takes no images of 32x32: ",
    ("backbone=torchvision/resnet18", "attention=extra_block"): "has no block to build attention of",
    ("backbone=torchvision/resnet18", "attention=residual"): "has no block to build attention of",
    ("backbone=timm/resnet18", "attention=gated", "attention.predict=modules"): "timm's runs as a whole",
    ("backbone=torchvision/shufflenet_v2_x1_0", "attention=se", "attention.placement=block"): "has no such points",
    ("backbone=resnet20", "backbone.weights=default"): "default: there are none that come with this backbone",
}


@pytest.mark.parametrize(("overrides", "message"), MISTAKES.items(), ids=lambda value: " ".join(value))
def test_pairs_and_names_that_make_no_sense_are_rejected(overrides: tuple[str, ...], message: str) -> None:
    assert message in rejection(*overrides)


def test_a_missing_timm_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert "pip install 'attnbench[timm]'" in rejection("backbone=timm/resnet18")


def test_slots_stand_where_the_librarys_names_do_not() -> None:
    net = ours("torchvision/resnet18")
    assert set(net.net.state_dict()) == set(theirs("torchvision/resnet18").state_dict())
    slots: Callable[[Backbone], int] = lambda b: sum(isinstance(m, Slot) for m in b.modules())  # noqa: E731
    assert slots(net) == len(net.points) == 4 + 2 * 8
