"""The contract of any attention with any backbone: the pair trains, computes, copies, saves and compiles.

All properties are checked of each network that is built, in one test per pair. By default, pairs are chosen so that
these combinations are covered (`tests.attention.pairs.chosen`):

- each attention of ours, at its defaults, and each toy with a backbone of every kind: networks whose residual sums come
  before or after an activation, that concatenate, that have no sums, and that take images of one size only;
  attentions that differ only in the module that they insert in blocks with one backbone each;
- each backbone with an attention of every shape: none, between stages, inside blocks, around blocks, taps, instead of
  the head;
- each set of further options of an attention with one backbone.

All other pairs are checked in full by `-m slow`.
"""

import copy
import io
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnbench.attention.base import Attention
from attnbench.backbones.cluttered_mnist_cnn import ClutteredMNISTCNN
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.vgg import VGG
from attnbench.classifier import Classifier
from attnbench.errors import OptionError, UserError
from tests.attention.pairs import (
    ATTENTIONS,
    IN_BLOCKS,
    KINDS,
    NARROW,
    SHIPPED,
    VARIANTS,
    Pair,
    build,
    chosen,
    fitting,
    rejection,
    shape_of,
)
from tests.attention.toys import TOYS

CHOSEN = chosen()
OTHERS = [pair for pair in fitting() if pair not in CHOSEN]
ODD_SIZES = ((33, 47), (8, 8), (28, 28))


def named(pair: Pair) -> str:
    return " on ".join(pair)


def loss_of(net: Classifier, images: torch.Tensor) -> torch.Tensor:
    output = net.output(images)
    target = torch.arange(len(images)) % 10
    return torch.stack(list(net.losses(output, target).values())).sum()


def assert_trains(net: Classifier, images: torch.Tensor) -> None:
    """Check that every parameter gets a finite gradient."""
    net.zero_grad()
    loss_of(net, images).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def trains_on_odd_sizes(net: Classifier, pair: Pair, *, sizes: tuple[tuple[int, int], ...] = ODD_SIZES) -> None:
    for size in sizes:
        images = torch.randn(3, 3, *size)
        if isinstance(net.backbone, ClutteredMNISTCNN):  # its hidden layer fixes the size
            with pytest.raises(ValueError, match="built for images of 32x32"):
                net(images)
        else:
            assert_trains(net, images)


def trains_on_a_batch_of_one(net: Classifier, pair: Pair) -> None:
    assert_trains(net, torch.randn(1, 3, 32, 32))


def trains_in_bf16(net: Classifier, pair: Pair) -> None:
    net.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(net, torch.randn(2, 3, 32, 32))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def leaves_no_tensor_on_modules(net: Classifier, pair: Pair) -> None:
    loss_of(net, torch.randn(2, 3, 32, 32)).backward()
    for path, module in net.named_modules():
        held = [name for name, value in vars(module).items() if isinstance(value, torch.Tensor)]
        assert not held, f"{path} holds {held}"


def has_maps_that_are_not_constant(net: Classifier, pair: Pair) -> None:
    side = 64 if isinstance(net.backbone, VGG) else 32  # of 32 pixels, its last map has one
    output = net.output(torch.randn(4, 3, side, side))
    assert output.logits.shape == (4, 10)
    for name, values in net.maps(output).items():
        assert values.ndim == 4, name
        assert len(values) == 4, name
        assert values.std() > 1e-6, name


def shares_nothing_with_a_copy(net: Classifier, pair: Pair) -> None:
    net.eval()
    images = torch.randn(2, 3, 32, 32)
    before = net(images)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    assert torch.equal(net(images), before)
    assert not torch.equal(twin(images), before)


def computes_the_same_from_a_saved_state(net: Classifier, pair: Pair) -> None:
    torch.manual_seed(1)
    other, file = build(*pair).eval(), io.BytesIO()
    torch.save(net.eval().state_dict(), file)
    file.seek(0)
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(net(images), other(images))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(net(images), other(images))


PROPERTIES: tuple[Callable[[Classifier, Pair], None], ...] = (
    shares_nothing_with_a_copy,
    computes_the_same_from_a_saved_state,
    trains_on_odd_sizes,
    trains_on_a_batch_of_one,
    trains_in_bf16,
    leaves_no_tensor_on_modules,
    has_maps_that_are_not_constant,
)


def marks_of(pair: Pair) -> list[pytest.MarkDecorator]:
    """Mark what is slow, and one pair of each attention for a first look."""
    if pair in OTHERS:
        return [pytest.mark.slow]
    first = next(chosen for chosen in CHOSEN if chosen[0] == pair[0])
    return [pytest.mark.smoke] if pair == first and pair[0] not in VARIANTS else []


@pytest.mark.parametrize("pair", [pytest.param(pair, marks=marks_of(pair), id=named(pair)) for pair in fitting()])
def test_a_pair_keeps_the_contract(pair: Pair) -> None:
    net = build(*pair)
    broken: list[Exception] = []
    for keeps in PROPERTIES:
        torch.manual_seed(0)
        try:
            keeps(net.train(), pair)
        except Exception as error:
            error.add_note(f"{named(pair)}: {keeps.__name__}")
            broken.append(error)
    if broken:
        raise ExceptionGroup(f"{named(pair)} breaks {len(broken)} properties", broken)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [pair for pair in OTHERS if pair[0] not in VARIANTS], ids=named)
def test_a_pair_trains_on_an_odd_size(pair: Pair) -> None:
    number = OTHERS.index(pair) % len(ODD_SIZES)
    trains_on_odd_sizes(build(*pair), pair, sizes=ODD_SIZES[number : number + 1])


def test_chosen_pairs_cover_attentions_and_backbones() -> None:
    for attention in {*SHIPPED, *TOYS}.difference(IN_BLOCKS):
        backbones = {backbone for name, backbone in CHOSEN if name == attention}
        for kind, members in KINDS.items():
            assert backbones.intersection(members) or all(rejection(attention, member) for member in members), kind
    assert {attention for attention, _ in CHOSEN} == {*ATTENTIONS, *TOYS}
    for backbone in NARROW:
        shapes = {shape_of(attention) for attention, name in CHOSEN if name == backbone}
        assert shapes == {shape_of(name) for name in (*SHIPPED, *TOYS) if not rejection(name, backbone)}
    assert {backbone for members in KINDS.values() for backbone in members} == {*NARROW}


REJECTED_PAIRS = [
    (attention, backbone) for attention in ATTENTIONS for backbone in NARROW if rejection(attention, backbone)
]


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, marks=[pytest.mark.slow] * (pair[0] in VARIANTS and pair[0] != "bam block"))
        for pair in REJECTED_PAIRS
    ],
    ids=named,
)
def test_pairs_that_make_no_sense_are_rejected(pair: Pair) -> None:
    with pytest.raises(UserError, match=rejection(*pair)):
        build(*pair)


@pytest.mark.parametrize(
    ("attention", "backbone"),
    [
        pytest.param(attention, backbone, marks=[pytest.mark.slow] * (attention in IN_BLOCKS and number > 0))
        for attention in SHIPPED
        for number, backbone in enumerate(("resnet basic", "preact bottleneck"))
    ],
)
def test_the_papers_map_sizes_train(attention: str, backbone: str) -> None:
    net = build(attention, backbone)
    for side in (7, 14, 32):
        images = torch.randn(2, 3, side, side)
        if attention == "residual" and side == 7:  # three poolings leave nothing of 7x7
            with pytest.raises(OptionError, match="too many poolings for a map of 7x7"):
                net(images)
            continue
        assert_trains(net.train(), images)
        assert net.eval()(images).shape == (2, 10)


COMPILED = ("none", "bam", "gated", "ggam", "taps")
"""Compiled in the default tests, as compiling takes seconds; the others on demand."""
FEW_LAYERS = {"residual": ("attention.mask_depth=[1,1,1]", "attention.t=1")}
"""Options of networks that are compiled; the masks' other depths compile in the attention's own tests."""


@pytest.mark.parametrize(
    "attention",
    [pytest.param(name, marks=[] if name in COMPILED else pytest.mark.slow) for name in (*SHIPPED, *TOYS)],
)
def test_features_compile_in_place_as_one_graph(attention: str) -> None:
    """In the memory format that networks train in."""
    net = build(attention, "resnext", *FEW_LAYERS.get(attention, ())).eval().to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last)
    expected, names = net(images), set(net.state_dict())
    net.backbone.compile(fullgraph=True, backend="aot_eager")
    assert torch.allclose(net(images), expected, atol=1e-5 * expected.abs().max().item())
    assert set(net.state_dict()) == names


@pytest.mark.parametrize(
    "attention",
    [pytest.param(name, marks=[] if name == "gated" else pytest.mark.slow) for name in SHIPPED if name != "ggam"],
)
def test_the_whole_network_compiles_where_no_inner_gradient_is_needed(attention: str) -> None:
    net = build(attention, "wrn", *FEW_LAYERS.get(attention, ())).train()
    images, target = torch.randn(2, 3, 16, 16), torch.tensor([1, 2])

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(net.losses(net.output(x), target).values())).sum()

    expected = forward(images)
    found = torch.compile(forward, fullgraph=True, backend="aot_eager")(images)
    found.backward()
    assert torch.allclose(found, expected, atol=1e-4)
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_replaced_head_leaves_no_dead_parameters() -> None:
    net = build("score", "resnet basic")
    assert not list(net.backbone.classifier.parameters())


def test_a_head_that_nothing_replaces_is_an_error() -> None:
    backbone = build("taps", "wrn").backbone
    backbone.remove_classifier()
    with pytest.raises(NotImplementedError, match="classifies nothing"):
        Classifier(backbone, Attention())(torch.randn(2, 3, 8, 8))


def test_no_attention_is_the_plain_network() -> None:
    net = build("none", "resnet basic").eval()
    images = torch.randn(2, 3, 32, 32)
    features = net.backbone.features(images)
    assert torch.equal(net(images), net.backbone.classify(features))
    output = net.output(images)
    target = torch.tensor([3, 1])
    assert torch.equal(net.losses(output, target)["cross_entropy"], nn.functional.cross_entropy(output.logits, target))
    assert net.maps(output) == {}


@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
def test_a_double_precision_network_has_double_precision_losses(soft: bool) -> None:
    net = Classifier(ResNet(8, 5, width=4), Attention()).double()
    output = net.output(torch.randn(3, 3, 8, 8, dtype=torch.float64))
    target = torch.rand(3, 5).softmax(1) if soft else torch.tensor([0, 4, 2])
    loss = net.losses(output, target)["cross_entropy"]
    assert loss.dtype == torch.float64
    logs = output.logits.log_softmax(1)
    shares = target.double() if soft else F.one_hot(target, 5).double()
    assert torch.allclose(loss, -(shares * logs).sum(1).mean(), rtol=1e-14, atol=0)
