"""Every attention on every backbone: builds, runs forward and backward, copies, compiles."""

import copy
import io
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from attnbench.attention.base import Attention
from attnbench.backbones.cluttered_mnist_cnn import ClutteredMNISTCNN
from attnbench.backbones.vgg import VGG
from attnbench.build import build_backbone, build_model
from attnbench.classifier import Classifier
from attnbench.config import search_path as folders
from attnbench.config.compose import compose
from attnbench.errors import OptionError, UserError
from tests.attention.toys import TOYS

NARROW = {
    "resnet basic": ("backbone=resnet20", "backbone.width=8"),
    "resnet bottleneck": ("backbone=resnet50", "backbone.width=4"),
    "preact basic": ("backbone=preact_resnet20", "backbone.width=8"),
    "preact bottleneck": ("backbone=preact_resnet20", "backbone.block=bottleneck", "backbone.width=4"),
    "wrn": ("backbone=wrn10_1", "backbone.stem_width=8"),
    "cluttered mnist cnn": ("backbone=cluttered_mnist_cnn", "backbone.width=8", "backbone.hidden=16"),
    "resnext": ("backbone=resnext11_2x2d", "backbone.width=4"),
    "densenet": ("backbone=densenet_bc16_4",),
    "mobilenet": ("backbone=mobilenet_v1", "backbone.alpha=0.125"),
    "squeezenet": ("backbone=squeezenet1_1", "backbone.width=8"),
    "vgg": ("backbone=vgg16", "backbone.depth=11", "backbone.width=8"),
    "inception": ("backbone=inception_resnet", "backbone.blocks=[1,1,1]", "backbone.width=4"),
}
SHIPPED = {choice: (f"attention={choice}",) for choice in folders.choices("attention", folders.search_path())}
VARIANTS = {
    "bam official": ("attention=bam", "attention.variant=official"),
    "bam block": ("attention=bam", "attention.placement=block"),
    "bam product": ("attention=bam", "attention.combine=product"),
    "bam max": ("attention=bam", "attention.combine=max"),
    "bam channel": ("attention=bam", "attention.branch=channel"),
    "bam spatial": ("attention=bam", "attention.branch=spatial"),
    "bam tanh": ("attention=bam", "attention.gate=tanh"),
    "gated official": ("attention=gated", "attention.variant=official"),
    "gated own": ("attention=gated", "attention.tap=own", "attention.mask=sigmoid", "attention.global_gates=sigmoid"),
    "gated heads": ("attention=gated", "attention.head_gates=false", "attention.net_output=half"),
    "gated alone": ("attention=gated", "attention.net_output=none", "attention.combine=logits"),
    "gated plain": ("attention=gated", "attention.global_gates=none", "attention.form=direct"),
    "gated stopped": (
        "attention=gated",
        "attention.stop_gradients=true",
        "attention.deepest=before_last",
        "attention.depth=2",
    ),
    "ggam official": ("attention=ggam", "attention.variant=official"),
    "ggam channel": ("attention=ggam", "attention.spatial=false"),
    "ggam spatial": ("attention=ggam", "attention.channel=false", "attention.lambda=0"),
    "ggam softmax": ("attention=ggam", "attention.spatial_norm=softmax"),
    "ggam literal": ("attention=ggam", "attention.divergence=literal"),
    "ggam linear": ("attention=ggam", "attention.head=linear", "attention.pooling=avg"),
    "ggam second order": ("attention=ggam", "attention.second_order=true"),
    "residual naive": ("attention=residual", "attention.learning=naive"),
    "residual channel": ("attention=residual", "attention.activation=channel"),
    "residual spatial": ("attention=residual", "attention.activation=spatial"),
    "residual local": ("attention=residual", "attention.mask=local"),
}
NARROW_OPTIONS = dict.fromkeys(("bam", "se", "cbam"), ("attention.reduction=2",))
PAIR_OPTIONS = {("residual", "mobilenet"): ("attention.mask_depth=[1,1]",)}
"""Of 8x8 images, this backbone's first stage leaves 4x4."""
ATTENTIONS = {**SHIPPED, **VARIANTS}

OF_BLOCKS = ("residual", "extra_block", "own blocks")
IN_RESIDUALS = ("se", "cbam", "eca", "timm")
REFUSED = {
    "cluttered mnist cnn": {
        **dict.fromkeys(OF_BLOCKS, "no block to build attention of"),
        **dict.fromkeys(IN_RESIDUALS, "no residual blocks"),
        "bam block": "has no such place",
    },
    "densenet": {
        **dict.fromkeys(OF_BLOCKS, "DenseNet has no block to build attention of"),
        **dict.fromkeys(IN_RESIDUALS, "no residual blocks"),
    },
    "mobilenet": dict.fromkeys(IN_RESIDUALS, "no residual blocks"),
    "squeezenet": dict.fromkeys(IN_RESIDUALS, "no residual blocks"),
    "vgg": dict.fromkeys(IN_RESIDUALS, "no residual blocks"),
}
"""Attentions that a backbone has no place for, and what is said of it."""

Build = Callable[[], Classifier]


def from_config(attention: str, backbone: str) -> Build:
    overrides = ["data=cifar10", *NARROW[backbone], *ATTENTIONS[attention]]
    kind = attention.split(maxsplit=1)[0]
    overrides += [*NARROW_OPTIONS.get(kind, ()), *PAIR_OPTIONS.get((kind, backbone), ())]
    return lambda: build_model(compose(overrides))


def from_toy(toy: str, backbone: str) -> Build:
    config = compose(["data=cifar10", *NARROW[backbone]])
    shape = {"num_classes": 10, "in_channels": 3, "image_size": 32}
    return lambda: Classifier(build_backbone(config, **shape), TOYS[toy]())


def refused(attention: str, backbone: str) -> str | None:
    """Why this pair is refused, if it is."""
    reasons = REFUSED.get(backbone, {})
    return reasons.get(attention) or reasons.get(attention.split(maxsplit=1)[0])


def cases() -> list[object]:
    """Each attention on each family; the variants on one family only, unless slow tests are asked for."""
    found: list[object] = []
    for attention, backbone in itertools.product(ATTENTIONS, NARROW):
        if refused(attention, backbone):
            continue
        slow = attention in VARIANTS and backbone != "resnet basic"
        marks = [pytest.mark.slow] if slow else []
        found.append(pytest.param((from_config, attention, backbone), id=f"{attention} on {backbone}", marks=marks))
    for toy, backbone in itertools.product(TOYS, NARROW):
        if not refused(toy, backbone):
            found.append(pytest.param((from_toy, toy, backbone), id=f"toy {toy} on {backbone}"))
    return found


@pytest.fixture(params=cases())
def build(request: pytest.FixtureRequest) -> Build:
    make, attention, backbone = request.param
    torch.manual_seed(0)
    result: Build = make(attention, backbone)
    return result


def loss_of(net: Classifier, images: torch.Tensor) -> torch.Tensor:
    output = net.output(images)
    target = torch.arange(len(images)) % 10
    return torch.stack(list(net.losses(output, target).values())).sum()


@pytest.mark.parametrize("size", [(33, 47), (8, 8), (28, 28)], ids=str)
def test_forward_and_backward_on_odd_sizes(build: Build, size: tuple[int, int]) -> None:
    net, images = build(), torch.randn(3, 3, *size)
    if isinstance(net.backbone, ClutteredMNISTCNN):  # its hidden layer fixes the size
        with pytest.raises(ValueError, match="built for images of 32x32"):
            net(images)
        return
    loss_of(net, images).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("attention", "backbone"),
    [pair for pair in itertools.product(ATTENTIONS, NARROW) if refused(*pair)],
)
def test_pairs_that_make_no_sense_are_refused(attention: str, backbone: str) -> None:
    with pytest.raises(UserError, match=refused(attention, backbone)):
        from_config(attention, backbone)()


@pytest.mark.parametrize("size", [(7, 7), (14, 14), (32, 32)], ids=str)
@pytest.mark.parametrize("backbone", ["resnet basic", "preact bottleneck"])
@pytest.mark.parametrize("attention", SHIPPED)
def test_the_papers_map_sizes(attention: str, backbone: str, size: tuple[int, int]) -> None:
    net = from_config(attention, backbone)()
    images = torch.randn(2, 3, *size)
    if attention == "residual" and size == (7, 7):  # three poolings leave nothing of 7x7
        with pytest.raises(OptionError, match="too many poolings for a map of 7x7"):
            net(images)
        return
    loss_of(net, images).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert net.eval()(images).shape == (2, 10)


def test_a_training_batch_of_one(build: Build) -> None:
    net = build().train()
    loss_of(net, torch.randn(1, 3, 32, 32)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_maps_are_not_constant(build: Build) -> None:
    net = build()
    side = 64 if isinstance(net.backbone, VGG) else 32  # of 32 pixels, its last map has one
    output = net.output(torch.randn(4, 3, side, side))
    assert output.logits.shape == (4, 10)
    for name, values in net.maps(output).items():
        assert values.ndim == 4, name
        assert len(values) == 4, name
        assert values.std() > 1e-6, name


def test_nothing_is_left_behind_on_modules(build: Build) -> None:
    net = build()
    loss_of(net, torch.randn(2, 3, 32, 32)).backward()
    for path, module in net.named_modules():
        held = [name for name, value in vars(module).items() if isinstance(value, torch.Tensor)]
        assert not held, f"{path} holds {held}"


def test_a_copy_computes_the_same_and_shares_nothing(build: Build) -> None:
    net = build().eval()
    images = torch.randn(2, 3, 32, 32)
    before = net(images)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    assert torch.equal(net(images), before)
    assert not torch.equal(twin(images), before)


def test_a_state_dict_round_trip(build: Build) -> None:
    net, other = build().eval(), build().eval()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(images), other(images))


def test_bf16_autocast(build: Build) -> None:
    net = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(net, torch.randn(2, 3, 32, 32))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("attention", [*SHIPPED, *TOYS])
def test_features_compile_in_place_as_one_graph(attention: str) -> None:
    make = from_config if attention in SHIPPED else from_toy
    net = make(attention, "resnet basic")().eval()
    images = torch.randn(2, 3, 16, 16)
    expected, names = net(images), set(net.state_dict())
    net.backbone.compile(fullgraph=True, backend="aot_eager")
    assert torch.allclose(net(images), expected, atol=1e-5 * expected.abs().max().item())
    assert set(net.state_dict()) == names


@pytest.mark.parametrize("attention", [name for name in SHIPPED if name != "ggam"])
def test_the_whole_network_compiles_where_no_inner_gradient_is_needed(attention: str) -> None:
    net = from_config(attention, "wrn")().train()
    images, target = torch.randn(2, 3, 16, 16), torch.tensor([1, 2])

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(net.losses(net.output(x), target).values())).sum()

    expected = forward(images)
    found = torch.compile(forward, fullgraph=True, backend="aot_eager")(images)
    found.backward()
    assert torch.allclose(found, expected, atol=1e-4)
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_replaced_head_leaves_no_dead_parameters() -> None:
    net = from_toy("score", "resnet basic")()
    assert not list(net.backbone.classifier.parameters())


def test_a_head_that_nothing_replaces_is_an_error() -> None:
    backbone = from_toy("taps", "wrn")().backbone
    backbone.remove_classifier()
    with pytest.raises(NotImplementedError, match="classifies nothing"):
        Classifier(backbone, Attention())(torch.randn(2, 3, 8, 8))


def test_no_attention_is_the_plain_network() -> None:
    net = from_config("none", "resnet basic")().eval()
    images = torch.randn(2, 3, 32, 32)
    features = net.backbone.features(images)
    assert torch.equal(net(images), net.backbone.classify(features))
    output = net.output(images)
    target = torch.tensor([3, 1])
    assert torch.equal(net.losses(output, target)["cross_entropy"], nn.functional.cross_entropy(output.logits, target))
    assert net.maps(output) == {}
