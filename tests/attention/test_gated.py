"""Gated attention against its equations in loops, the published counts, and its two exact forms against each other."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnbench.attention.base import Attention, Output
from attnbench.attention.gated import Gated
from attnbench.attention.gated_heads import (
    Form,
    GatedAttentionModule,
    Kernel,
    Mask,
    scores_from_maps,
    scores_from_pooled,
)
from attnbench.attention.gated_mixture import mix_probabilities
from attnbench.attention.gated_regularisers import REGULARISERS
from attnbench.backbones.base import Backbone
from attnbench.backbones.cluttered_mnist_cnn import ClutteredMNISTCNN
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier
from attnbench.cost import count, count_parameters
from attnbench.errors import OptionError

CLASSES = 5
CASES: dict[str, dict[str, Any]] = {
    "paper": {},
    "official": {"variant": "official"},
    "own": {"variant": "official", "tap": "own"},
    "sigmoid": {"mask": "sigmoid", "global_gates": "sigmoid"},
    "heads": {"head_gates": False, "width": 2, "gate_norm": True},
    "average": {"global_gates": "none", "kernel": 3},
    "average heads": {"global_gates": "none", "head_gates": False, "variant": "official", "width": 2},
    "half": {"net_output": "half", "combine": "logits"},
    "half logs": {"net_output": "half", "variant": "official", "global_gates": "none"},
    "alone": {"net_output": "none", "combine": "log_probabilities"},
    "shallow": {"deepest": "before_last", "depth": 2, "combine": "logits", "global_gates": "sigmoid"},
    "one": {"depth": 1, "width": 1},
}


def backbone(kind: str = "wrn") -> Backbone:
    if kind == "wrn":
        return WideResNet(10, 1, CLASSES, stem_width=4)
    if kind == "digits":
        return ClutteredMNISTCNN(CLASSES)
    if kind == "preact":
        return PreActResNet(11, CLASSES, width=2, block="bottleneck")
    if kind == "resnext":
        return ResNeXt(11, 2, 2, CLASSES, width=4)
    return ResNet(int(kind), CLASSES, width=4)


def build(kind: str = "wrn", **options: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(backbone(kind), Gated(**options))


def randomised(net: Classifier) -> Classifier:
    """The network in double precision with running statistics and affine parameters that do something."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in net.double().state_dict().items():
        if tensor.is_floating_point() and (tensor.ndim == 1 or "running" in name):
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
    return net.eval()


def images(batch: int = 2, height: int = 6, width: int = 7, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(2))


def attention(net: Classifier) -> Gated:
    assert isinstance(net.attention, Gated)
    return net.attention


def total(net: Classifier, output: Output, target: Tensor | None = None) -> Tensor:
    target = torch.arange(len(output.logits)) % CLASSES if target is None else target
    return torch.stack(list(net.losses(output, target).values())).sum()


# the equations, one position and one head at a time


def trace(net: Classifier, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The maps that the modules read, recomputed from the WRN's own layers: by stage, shared or own BN-ReLU."""
    body: Any = net.backbone
    own = attention(net).tap == "own"
    following = {"stage1": body.stage2.block0.bn1, "stage2": body.stage3.block0.bn1, "stage3": body.bn}
    x = body.stem(x)
    for stage, norm in following.items():
        x = getattr(body, stage)(x)
        if stage in attention(net).points:
            head: Any = attention(net).heads[stage]
            yield stage, normalise(x, head.norm if own else norm).clamp_min(0)
    yield "final", normalise(x, body.bn).clamp_min(0)


def normalise(x: Tensor, layer: Any) -> Tensor:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, variance, weight, bias = (
        v.reshape(shape) for v in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / (variance + layer.eps).sqrt() * weight + bias


def respond(x: Tensor, weight: Tensor) -> Tensor:
    """Convolution (O, C, k, k) over one map (C, H, W), position by position."""
    size, (_, height, width) = weight.shape[-1], x.shape
    around = x.new_zeros(len(x), height + size - 1, width + size - 1)
    edge = size // 2
    around[:, edge : edge + height, edge : edge + width] = x
    result = x.new_zeros(len(weight), height, width)
    for row in range(height):
        for column in range(width):
            result[:, row, column] = (weight * around[:, row : row + size, column : column + size]).sum((1, 2, 3))
    return result


def module_by_hand(x: Tensor, state: dict[str, Tensor], mask: str, gated: bool) -> tuple[Tensor, Tensor]:
    """Hypotheses (1 or K, L) and masks (K, H, W) of one image's map (C, H, W)."""
    found = respond(x, state["mask.weight"])
    heads, positions = len(found), found[0].numel()
    scores, class_maps = [], respond(x, state["scores.weight"])
    masks = torch.stack([m.exp() / m.exp().sum() if mask == "softmax" else 1 / (1 + (-m).exp()) for m in found])
    scale = 1 if mask == "softmax" else positions
    for head in range(heads):
        labels = range(head * CLASSES, (head + 1) * CLASSES)
        scores.append(torch.stack([(class_maps[label] * masks[head]).sum() / scale for label in labels]))
    if not gated:
        return torch.stack(scores), masks
    gate_maps = respond(x, state["gate.weight"])
    raw = [math.exp(math.tanh(float((gate_maps[k] * masks[k]).sum() / scale))) for k in range(heads)]
    joined = sum((raw[k] / sum(raw) * scores[k] for k in range(heads)), torch.zeros(CLASSES, dtype=x.dtype))
    return joined[None], masks


def gates_by_hand(net: Classifier, pooled: Tensor, number: int) -> Tensor:
    """Global gates of one image, from its averaged last map (C,)."""
    options, gate = attention(net), attention(net).gate
    gated = number - (options.net_output == "half")
    if gate is None:
        gates = torch.full((gated,), 1 / gated, dtype=pooled.dtype)
    else:
        state: dict[str, Tensor] = gate.state_dict()
        scores = state["0.weight" if options.gate_norm else "weight"] @ pooled
        if options.gate_norm:
            scores = normalise(scores[None], gate[1])[0]  # type: ignore[index]
        opened = scores.tanh().exp() if options.global_gates == "softmax" else 1 / (1 + (-scores.tanh()).exp())
        gates = opened / (opened.sum() + (1e-6 if options.global_gates == "sigmoid" else 0))
    return torch.cat([gates / 2, gates.new_tensor([0.5])]) if options.net_output == "half" else gates


class ByHand:
    """Hypotheses (B, N, L), gates (B, N), masks by stage and the output (B, L), from the equations."""

    def __init__(self, net: Classifier, x: Tensor) -> None:
        options = attention(net)
        maps = dict(trace(net, x))
        pooled = maps.pop("final").mean((2, 3))
        plain: Tensor = net.backbone.classifier(pooled)
        self.masks: dict[str, list[Tensor]] = {stage: [] for stage in maps}
        hypotheses, gates = [], []
        for image in range(len(x)):
            found = []
            for stage, features in maps.items():
                state = options.heads[stage].state_dict()
                opinions, masks = module_by_hand(features[image], state, options.mask, options.head_gates)
                self.masks[stage].append(masks)
                found += list(opinions)
            if options.net_output != "none":
                found.append(plain[image])
            hypotheses.append(torch.stack(found))
            gates.append(gates_by_hand(net, pooled[image], len(found)))
        self.hypotheses, self.gates = torch.stack(hypotheses), torch.stack(gates)
        probabilities = self.hypotheses.exp() / self.hypotheses.exp().sum(-1, keepdim=True)
        parts = {
            "probabilities": probabilities,
            "log_probabilities": probabilities.log(),
            "logits": self.hypotheses,
        }[options.combine]
        mixed = torch.einsum("bn,bnl->bl", self.gates, parts)
        self.output = mixed.log() if options.combine == "probabilities" else mixed


@pytest.mark.parametrize("form", ["pooled", "direct"])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_parity_with_the_equations(case: str, form: str) -> None:
    net = randomised(build(**CASES[case], form=form))
    output = net.output(images())
    expected = ByHand(net, images())
    assert torch.allclose(output.logits, expected.output, atol=1e-10, rtol=1e-10)
    assert torch.allclose(output.extras["gates"], expected.gates, atol=1e-10)
    for stage, point in attention(net).points.items():
        assert torch.allclose(net.maps(output)[point], torch.stack(expected.masks[stage]), atol=1e-10)


# losses


@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
@pytest.mark.parametrize("case", ["official", "own", "half logs", "alone", "paper", "shallow"])
@torch.no_grad()
def test_the_likelihood_is_what_the_combination_says(case: str, soft: bool) -> None:
    """Log-probabilities: the gate-weighted cross-entropies. Probabilities: below them (Jensen). Logits: one net's."""
    net = randomised(build(**CASES[case]))
    output, expected = net.output(images()), ByHand(net, images())
    target = torch.tensor([1, 4])
    shares = torch.rand(2, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).softmax(1)
    found = net.losses(output, shares if soft else target)["cross_entropy"]
    shares = shares if soft else F.one_hot(target, CLASSES).double()
    each = -(shares[:, None] * expected.hypotheses.log_softmax(-1)).sum(-1)  # (B, N)
    weighted = (expected.gates * each).sum(1).mean()
    combine = attention(net).combine
    if combine == "log_probabilities":
        assert torch.allclose(found, weighted, atol=1e-10)
    elif combine == "probabilities":
        assert found < weighted
        mixture = (expected.gates[:, :, None] * expected.hypotheses.softmax(-1)).sum(1)
        assert torch.allclose(found, -(shares * mixture.log()).sum(1).mean(), atol=1e-10)
    else:
        assert torch.allclose(found, F.cross_entropy(expected.output, shares), atol=1e-10)


def test_magnitudes_of_the_regularisers() -> None:
    spike = torch.zeros(3, 4, 8, 8)
    spike[:, :, 2, 5] = 1
    flat = torch.full((3, 4, 8, 8), 1 / 64)
    assert 0.1 * REGULARISERS["published"](spike) == pytest.approx(1.2)
    assert 0.1 * REGULARISERS["published"](flat) == pytest.approx(0.01875)
    assert 0.001 * REGULARISERS["official"](spike) == pytest.approx(12 / 16 / 256 * 0.001)
    assert 0.001 * REGULARISERS["official"](flat) == pytest.approx(12 / 16 / 256**2 * 0.001)
    assert REGULARISERS["official"](torch.ones(2, 3, 1, 1)) == pytest.approx(6 / 9)


@pytest.mark.parametrize("regulariser", ["published", "official"])
@torch.no_grad()
def test_regularisers_pair_by_pair(regulariser: str) -> None:
    net = randomised(build(regulariser=regulariser, regulariser_weight=3.0))
    output = net.output(images(2, 12, 15))
    levels = []
    for masks in net.maps(output).values():
        pairs = torch.zeros(2, 4, 4, dtype=torch.float64)
        for b, i, j in ((b, i, j) for b in range(2) for i in range(4) for j in range(4) if i != j):
            one, other = masks[b, i], masks[b, j]
            if regulariser == "official":
                even = (one.shape[0] // 2 * 2, one.shape[1] // 2 * 2)
                one, other = (m[: even[0], : even[1]] for m in (one, other))
                one, other = ((m[::2, ::2] + m[1::2, ::2] + m[::2, 1::2] + m[1::2, 1::2]) / 4 for m in (one, other))
            pairs[b, i, j] = (one * other).sum()
        levels.append(pairs.sum((1, 2)).mean() if regulariser == "published" else (pairs**2).mean())
    found = net.losses(output, torch.tensor([0, 1]))["regulariser"]
    assert torch.allclose(found, 3 * torch.stack(levels).mean(), rtol=1e-10)


def test_a_term_appears_only_where_it_can_be_minimised() -> None:
    assert (attention(build()).regulariser, attention(build(variant="official")).regulariser) == (
        "published",
        "official",
    )
    for options in ({"width": 1}, {"regulariser": "none"}, {"regulariser_weight": 0.0}):
        net = build(**options)
        assert net.losses(net.output(images(dtype=torch.float32)), torch.tensor([0, 1])).keys() == {"cross_entropy"}


# invariants


@settings(max_examples=25)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    batch=st.integers(1, 3),
    heads=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    mask=st.sampled_from(["softmax", "sigmoid"]),
    gated=st.booleans(),
    scale=st.floats(0.01, 100),
)
def test_masks_and_gates_of_heads(
    height: int, width: int, batch: int, heads: int, kernel: Kernel, mask: Mask, gated: bool, scale: float
) -> None:
    torch.manual_seed(0)
    module = GatedAttentionModule(6, CLASSES, heads, kernel, mask, gated, norm=False, form="pooled")
    opinion = module(scale * torch.randn(batch, 6, height, width))
    assert opinion.masks.shape == (batch, heads, height, width)
    assert opinion.hypotheses.shape == (batch, 1 if gated else heads, CLASSES)
    sums = opinion.masks.sum((2, 3))
    assert opinion.masks.min() >= 0
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5) if mask == "softmax" else sums.max() <= 1 + 1e-5
    if gated:
        assert torch.allclose(opinion.gates.sum(1), torch.ones(batch), atol=1e-5)
        assert opinion.gates.min() >= bounds(heads)[0] - 1e-6
        assert opinion.gates.max() <= bounds(heads)[1] + 1e-6


def bounds(number: int) -> tuple[float, float]:
    """Least and greatest gate of a softmax over `number` scores in [-1, 1]."""
    low, high = math.exp(-1), math.e
    return low / (low + (number - 1) * high), high / (high + (number - 1) * low)


@pytest.mark.parametrize(("number", "low", "high"), [(2, 0.119, 0.881), (3, 0.063, 0.787), (4, 0.043, 0.711)])
def test_global_gates_reach_their_bounds_and_no_further(number: int, low: float, high: float) -> None:
    assert bounds(number) == pytest.approx((low, high), abs=5e-4)
    net = build(depth=number - 1).eval()
    gate = attention(net).gate
    assert isinstance(gate, torch.nn.Linear)
    with torch.no_grad():
        gate.weight.fill_(-1e3)
        gate.weight[0] = 1e3
    gates = net.output(images(dtype=torch.float32)).extras["gates"]
    assert gates[:, 0].tolist() == pytest.approx([high] * 2, abs=5e-4)
    assert torch.allclose(gates.sum(1), torch.ones(2))
    with torch.no_grad():
        gate.weight.neg_()
    assert net.output(images(dtype=torch.float32)).extras["gates"].min().item() == pytest.approx(low, abs=5e-4)


@pytest.mark.parametrize("combine", ["log_probabilities", "probabilities", "logits"])
def test_fixed_gates_give_the_plain_net(combine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(combine=combine).eval()
    monkeypatch.setattr(net.attention, "gates", lambda features, alone: torch.tensor([[0.0, 0, 0, 1]]).expand(2, 4))
    torch.manual_seed(0)
    plain = Classifier(backbone(), Attention()).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    expected = plain(images(dtype=torch.float32))
    expected = expected if combine == "logits" else expected.log_softmax(1)
    assert torch.allclose(net(images(dtype=torch.float32)), expected, atol=1e-6)


@given(st.integers(2, 6), st.integers(1, 3), st.floats(0.1, 1e4))
@settings(max_examples=20)
def test_a_mixture_of_probabilities_is_one(number: int, batch: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(number)
    hypotheses = scale * torch.randn(batch, number, CLASSES, generator=generator)
    mixed = mix_probabilities(hypotheses, torch.randn(batch, number, generator=generator).softmax(1))
    assert mixed.isfinite().all()
    assert torch.allclose(mixed.exp().sum(1), torch.ones(batch), atol=1e-4)


# the pooled form against the direct one


@settings(max_examples=40)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    heads=st.integers(1, 4),
    rows=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_pooling_first_is_exact(height: int, width: int, heads: int, rows: int, kernel: int, seed: int) -> None:
    """Values and gradients by all three inputs; maps down to one pixel, where a 3x3 window is mostly border."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 3, height, width), (heads, rows, 3, kernel, kernel), (2, heads, height, width))
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]
    pooled, direct = scores_from_pooled(*inputs), scores_from_maps(*inputs)
    assert torch.allclose(pooled, direct, atol=1e-10)
    upstream = torch.randn(pooled.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad(s, inputs, upstream) for s in (pooled, direct)), strict=True):
        assert torch.allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_both_forms_train_alike(variant: str) -> None:
    net = build(variant=variant)
    twin = build(variant=variant, form="direct")
    twin.load_state_dict(net.state_dict())
    for each in (net, twin):
        total(each, each.output(images(4, 33, 47, torch.float32))).backward()
    for (name, one), other in zip(net.named_parameters(), twin.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=1e-4 * (1 + one.grad.abs().max().item())), name


# gradients


@pytest.mark.parametrize("kind", ["wrn", "preact", "20", "18"])
@pytest.mark.parametrize("case", ["paper", "official", "own", "heads", "half", "alone"])
def test_gradients_reach_every_parameter(case: str, kind: str) -> None:
    net = build(kind, **CASES[case])
    total(net, net.output(images(3, 16, 16, torch.float32))).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("case", ["paper", "official", "shallow"])
def test_stopped_gradients_leave_the_backbone_to_the_plain_net(case: str) -> None:
    """The backbone's gradient is that of the net's own hypothesis, at a fixed gate and without the masks' term."""
    net = randomised(build(**{**CASES[case], "combine": "log_probabilities", "stop_gradients": True}))
    target = torch.tensor([1, 4])
    output = net.output(images())
    names = [name for name, _ in net.backbone.named_parameters()]
    found = torch.autograd.grad(total(net, output, target), list(net.backbone.parameters()), allow_unused=True)
    plain = net.backbone.classify(net.backbone.features(images()))
    share = output.extras["gates"][:, -1].detach()
    alone = (share * F.cross_entropy(plain, target, reduction="none")).mean()
    for name, one, other in zip(names, found, torch.autograd.grad(alone, list(net.backbone.parameters())), strict=True):
        assert torch.allclose(one, other, atol=1e-10), name
    heads = torch.autograd.grad(total(net, net.output(images()), target), list(net.attention.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in heads)


def test_without_stopping_modules_train_the_backbone() -> None:
    """Gradients of the first stage flow even if the net's own prediction weighs nothing."""
    net = build(net_output="none", global_gates="none", depth=1)
    total(net, net.output(images(dtype=torch.float32))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.backbone.parameters())


def test_a_single_head_has_a_gate_of_one() -> None:
    net = build(width=1)
    output = net.output(images(dtype=torch.float32))
    total(net, output).backward()
    assert all(torch.equal(output.extras[f"head_gates/{p}"], torch.ones(2, 1)) for p in attention(net).points.values())
    gradients = [
        p.grad for name, p in net.attention.named_parameters() if name.endswith("gate.weight") and "heads" in name
    ]
    assert len(gradients) == 3
    assert all(g is not None and not g.any() for g in gradients)


# counts


@pytest.mark.parametrize(
    ("classes", "kernel", "mega"),
    [
        (10, 3, (0.124, 0.244, 0.486)), (100, 3, (1.03, 2.06, 4.12)),
        (10, 1, (0.016, 0.029, 0.056)), (100, 1, (0.117, 0.231, 0.460)),
    ],
)  # fmt: skip
def test_parameters_on_wide_networks(classes: int, kernel: Kernel, mega: tuple[float, ...]) -> None:
    with torch.device("meta"):
        found = []
        for width in (1, 2, 4):
            module = Gated("official", width=width, kernel=kernel)
            module.attach(WideResNet(10, 10, classes))
            found.append(count_parameters(module) / 1e6)
    places = 0.005 if mega[0] > 1 else 0.0005
    assert tuple(found) == pytest.approx(mega, abs=places)


@pytest.mark.parametrize(
    ("depth", "width", "plain", "plain_giga", "mega", "giga"),
    [
        (28, 10, 36.48, 5.243, 36.97, 5.367),
        (40, 10, 55.84, 8.074, 56.33, 8.198),
        (28, 4, 5.85, 0.846, 6.04, None),
        (40, 4, 8.95, 1.299, 9.14, None),
    ],
)
def test_cost_on_cifar10(
    depth: int, width: int, plain: float, plain_giga: float, mega: float, giga: float | None
) -> None:
    with torch.device("meta"):
        bare = count(Classifier(WideResNet(depth, width, 10), Attention()), 3, 32)
        gated = count(Classifier(WideResNet(depth, width, 10), Gated("official", form="direct")), 3, 32)
    assert (bare.parameters / 1e6, bare.multiply_adds / 1e9) == pytest.approx((plain, plain_giga), abs=0.005)
    assert gated.parameters / 1e6 == pytest.approx(mega, abs=0.01)
    if giga is not None:
        assert gated.multiply_adds / 1e9 == pytest.approx(giga, abs=0.001)


def test_cost_on_cifar100_and_narrower_networks() -> None:
    with torch.device("meta"):
        net = Classifier(WideResNet(40, 10, 100), Gated("official", form="direct"))
        cost = count(net, 3, 32)
        added = [count(Classifier(WideResNet(28, 4, n), Gated("official")), 3, 32) for n in (10, 100)]
    assert (cost.parameters / 1e6, cost.multiply_adds / 1e9) == pytest.approx((60.0, 9.13), abs=0.05)
    assert [a.attention_parameters / 1e6 for a in added] == pytest.approx([0.195, 1.65], abs=0.005)


def digits_network(**options: Any) -> Classifier:
    """Gated attention on the digits network, as released, at four levels."""
    return Classifier(ClutteredMNISTCNN(10), Gated(**{"variant": "official", "depth": 4, **options}))


@pytest.mark.parametrize(("width", "parameters"), [(1, 49_674), (2, 98_058), (4, 194_826)])
def test_parameters_on_the_digits_network(width: int, parameters: int) -> None:
    """Four levels of 64, 128, 128, 128 channels; the gate reads 256 hidden units, five scores, with BN."""
    with torch.device("meta"):
        cost = count(digits_network(width=width), 1, 40)
    assert (cost.parameters, cost.attention_parameters) == (916_460 + parameters, parameters)


@pytest.mark.parametrize(("kernel", "mega"), [(3, 3.9), (1, 0.44)])
def test_parameters_on_wrn50_for_120_dogs(kernel: Kernel, mega: float) -> None:
    """WRN-50-2 widens inside its blocks: between them it has the channels of ResNet-50."""
    with torch.device("meta"):
        net = Classifier(ResNet(50, 120, image_size=224), Gated("official", width=2, kernel=kernel))
    assert list(attention(net).points) == ["stage1", "stage2", "stage3"]
    assert count_parameters(net.attention) / 1e6 == pytest.approx(mega, abs=0.05)


@pytest.mark.parametrize(("kernel", "form"), [(1, "pooled"), (3, "pooled"), (1, "direct"), (3, "direct")])
def test_multiply_adds_of_both_forms(kernel: Kernel, form: Form) -> None:
    """Mask, pooling and L+1 projections run; as written L+1 maps are drawn, and pooling them is not counted."""
    with torch.device("meta"):
        gated, plain = (
            count(Classifier(WideResNet(16, 2, 100), found), 3, 32)
            for found in (Gated(kernel=kernel, form=form), Attention())
        )
    window, heads, rows, pooled, direct = kernel**2, 4, 101, 128 * 4, 128 * 4
    for channels, side in ((32, 32), (64, 16), (128, 8)):
        taps = window * channels * heads
        pooled += taps * side**2 + taps * (side**2 + rows)
        direct += taps * side**2 + taps * rows * side**2
    assert gated.multiply_adds - plain.multiply_adds == direct
    executed = pooled if form == "pooled" else direct
    assert gated.executed_multiply_adds - plain.executed_multiply_adds == executed


# early exit


def dropped(net: Classifier, stages: int) -> Classifier:
    """The network with NaN in all that lies behind its first stages: the classifier too."""
    behind = [net.backbone.get_submodule(stage) for stage in net.backbone.stages[stages:]]
    for module in [*behind, net.backbone.classifier]:
        for name, parameter in module.named_parameters():
            if name not in ("block0.bn1.weight", "block0.bn1.bias"):  # a shared tap passes them
                parameter.data.fill_(math.nan)
    return net


@pytest.mark.parametrize("kind", ["wrn", "preact", "20", "18", "resnext"])
@pytest.mark.parametrize("tap", ["shared", "own"])
@pytest.mark.parametrize("modules", [1, 2])
@pytest.mark.parametrize("options", [{}, {"net_output": "half"}, {"head_gates": False, "width": 2}], ids=str)
@torch.no_grad()
def test_an_early_exit_is_the_mean_of_the_modules_it_reaches(
    kind: str, tap: str, modules: int, options: dict[str, Any]
) -> None:
    """What lies behind the last module in use, and the classifier, may be anything: it is not computed."""
    options = {"depth": 2, "deepest": "before_last", "tap": tap, **options}
    whole = randomised(build(kind, **options))
    short = build(kind, predict="modules", exit_modules=modules, **options).double().eval()
    short.load_state_dict(whole.state_dict())
    x, heads = images(2, 16, 16), options.get("width", 1)
    opinions = [heads_of(whole, x, stage) for stage in list(attention(whole).points)[:modules]]
    expected = torch.cat(opinions, 1).softmax(-1).mean(1).log()
    kept = whole.backbone.stages.index(list(attention(whole).points)[modules - 1]) + 1
    output = dropped(short, kept).output(x)
    assert torch.allclose(output.logits, expected, atol=1e-12)
    assert output.extras["gates"].shape == (2, modules * heads)
    assert list(short.maps(output)) == list(attention(whole).points.values())[:modules]


def heads_of(net: Classifier, x: Tensor, stage: str) -> Tensor:
    """Hypotheses (B, 1 or K, L) of one module in a whole forward pass."""
    features, point = net.backbone.features(x), attention(net).points[stage]
    found = features.final if point == "final" else features.taps[f"{point}/gated/map"]
    opinion: Tensor = attention(net).heads[stage](found).hypotheses
    return opinion


@torch.no_grad()
def test_an_exit_that_sees_the_last_map_keeps_its_gates() -> None:
    net = randomised(build(predict="modules"))
    whole = build().double().eval()
    whole.load_state_dict(net.state_dict())
    every = ByHand(whole, images())
    kept = every.gates[:, :3] / every.gates[:, :3].sum(1, keepdim=True)  # a softmax over fewer scores
    output = dropped(net, 3).output(images())
    assert torch.allclose(output.extras["gates"], kept, atol=1e-12)
    mixed = torch.einsum("bn,bnl->bl", kept, every.hypotheses[:, :3].softmax(-1)).log()
    assert torch.allclose(output.logits, mixed, atol=1e-12)


def test_training_never_leaves_early() -> None:
    early, plain = build(predict="modules", exit_modules=1).train(), build().train()
    x = images(4, 8, 8, torch.float32)
    assert torch.equal(early.output(x).logits, plain.output(x).logits)
    total(early, early.output(x)).backward()
    assert all(parameter.grad is not None for parameter in early.parameters())


def test_cost_of_an_early_exit() -> None:
    """Before the last stage an exit saves that stage, the gates and the classifier; at its end the classifier alone."""

    def multiply_adds(**options: Any) -> int:
        with torch.device("meta"):
            return count(Classifier(WideResNet(28, 10, 10), Gated(**options)), 3, 32).multiply_adds

    early, late = {"depth": 2, "deepest": "before_last"}, {"depth": 3}
    saved = [multiply_adds(**options) - multiply_adds(**options, predict="modules") for options in (early, late)]
    stage = 64 * (9 * 320 * 640 + 320 * 640 + 7 * 9 * 640**2)
    assert saved == [stage + 640 * 10 + 640 * 3, 640 * 10]
    assert multiply_adds(**late, predict="modules", exit_modules=2) == multiply_adds(**early, predict="modules")


@torch.no_grad()
def test_gates_of_the_digits_network_read_its_hidden_units() -> None:
    net = randomised(digits_network())
    output = net.output(torch.rand(3, 1, 40, 40, dtype=torch.float64))
    assert output.features.pooled is not None
    assert output.features.pooled.shape == (3, 256)
    for image, hidden in enumerate(output.features.pooled):
        expected = gates_by_hand(net, hidden, 5)
        assert torch.allclose(output.extras["gates"][image], expected, atol=1e-12)


@pytest.mark.parametrize("modules", [3, "auto"])
@torch.no_grad()
def test_an_early_exit_of_the_digits_network_reaches_no_linear_layer(modules: int | str) -> None:
    """Neither the gates, which read hidden units, nor the classifier: the modules' mean, even at the last map."""
    net = randomised(digits_network(predict="modules", exit_modules=modules))
    used, behind = (4, 0) if modules == "auto" else (3, 1)
    x = torch.rand(2, 1, 40, 40, dtype=torch.float64)
    whole = randomised(digits_network())
    whole.load_state_dict(net.state_dict())
    each = [heads_of(whole, x, stage) for stage in list(attention(whole).points)[:used]]
    body: Any = net.backbone
    for module in (body.hidden, body.classifier, attention(net).gate, *([body.stage5] if behind else [])):
        for parameter in module.parameters():
            parameter.fill_(math.nan)
    expected = torch.cat(each, 1).log_softmax(-1).mean(1)
    assert torch.allclose(net(x), expected, atol=1e-12)
    saved = count(digits_network(), 1, 40).multiply_adds - count(net.float(), 1, 40).multiply_adds
    last = 16 * 9 * 128**2 * behind + 16 * 9 * 128 * 4 * 12 * behind
    assert saved == 2048 * 256 + 256 * 10 + 256 * 5 + last


# places, sizes, precision, compilation, copies


@pytest.mark.parametrize(
    ("kind", "options", "points"),
    [
        ("wrn", {}, {"stage1": "stage2.pre", "stage2": "stage3.pre", "stage3": "final"}),
        ("wrn", {"depth": 1}, {"stage3": "final"}),
        ("wrn", {"depth": 2, "tap": "own"}, {"stage2": "stage2.out", "stage3": "stage3.out"}),
        ("20", {}, {"stage1": "stage1.out", "stage2": "stage2.out", "stage3": "final"}),
        ("18", {}, {"stage1": "stage1.out", "stage2": "stage2.out", "stage3": "stage3.out"}),
        ("18", {"deepest": "last", "depth": 1}, {"stage4": "final"}),
        ("digits", {"depth": 2}, {"stage4": "stage4.out", "stage5": "final"}),
        ("digits", {"depth": 1, "deepest": "before_last"}, {"stage4": "stage4.out"}),
    ],
)
def test_places(kind: str, options: dict[str, Any], points: dict[str, str]) -> None:
    assert attention(build(kind, **options)).points == points


@pytest.mark.parametrize("case", ["paper", "official", "own", "sigmoid"])
@pytest.mark.parametrize("size", [(7, 7), (8, 8), (14, 14), (33, 47)], ids=str)
def test_maps_are_the_masks_at_any_size(case: str, size: tuple[int, int]) -> None:
    net = build(**CASES[case])
    output = net.output(images(2, *size, torch.float32))
    assert total(net, output).isfinite()
    for masks, step in zip(net.maps(output).values(), (1, 2, 4), strict=True):
        assert masks.shape == (2, 4, -(-size[0] // step), -(-size[1] // step))
        if case == "sigmoid":
            assert 0 < masks.min() <= masks.max() < 1
            assert masks.mean() > 0.05  # of the order of a sigmoid, not divided by the number of positions
        else:
            assert torch.allclose(masks.sum((2, 3)), torch.ones(2, 4), atol=1e-5)


@pytest.mark.parametrize("case", ["official", "own"])
def test_a_training_batch_of_one_reads_the_gates_running_statistics(case: str) -> None:
    net = build(**CASES[case]).train()
    before = copy.deepcopy(attention(net).gate)
    loss = total(net, net.output(images(1, 8, 8, torch.float32)))
    loss.backward()
    assert loss.isfinite()
    assert before is not None
    after: Any = attention(net).gate
    assert all(torch.equal(v, after.state_dict()[name]) for name, v in before.state_dict().items() if "running" in name)


@pytest.mark.parametrize("case", ["paper", "official"])
def test_masks_and_gates_stay_precise_under_autocast(case: str) -> None:
    net = build(**CASES[case]).eval()
    x = images(4, 16, 16, torch.float32)
    expected = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = net.output(x)
        loss = total(net, output)
    assert output.logits.dtype == loss.dtype == torch.float32
    assert torch.allclose(output.logits, expected, atol=0.25)
    assert torch.allclose(output.extras["gates"].sum(1), torch.ones(4), atol=1e-5)
    for masks in net.maps(output).values():
        assert torch.allclose(masks.sum((2, 3)), torch.ones(4, 4), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"predict": "modules"}, {"predict": "modules", "exit_modules": 1}], ids=str)
def test_compiles_as_one_graph(options: dict[str, Any]) -> None:
    net = build(variant="official", **options).eval()
    x = images(2, 8, 8, torch.float32)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(x), net(x), atol=1e-5)


def test_a_copy_stands_alone() -> None:
    net = build(variant="official")
    total(net, net.output(images(dtype=torch.float32))).backward()
    twin = copy.deepcopy(net)
    x = images(dtype=torch.float32)
    before = net.eval()(x)
    assert torch.equal(twin.eval()(x), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.5)
    assert torch.equal(net(x), before)
    assert not torch.equal(twin(x), before)


# refusals


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"variant": "own"}, "variant"),
        ({"depth": 0}, "depth"),
        ({"width": 0}, "width"),
        ({"kernel": 5}, "kernel"),
        ({"mask": "relu"}, "mask"),
        ({"global_gates": "tanh"}, "global_gates"),
        ({"gate_norm": "batch"}, "gate_norm"),
        ({"combine": "mean"}, "combine"),
        ({"net_output": "all"}, "net_output"),
        ({"regulariser": "l2"}, "regulariser"),
        ({"regulariser_weight": -0.1}, "regulariser_weight"),
        ({"regulariser_weight": "high"}, "regulariser_weight"),
        ({"regulariser": "none", "regulariser_weight": 0.1}, "regulariser_weight"),
        ({"regulariser": "official", "width": 1}, "regulariser"),
        ({"tap": "raw"}, "tap"),
        ({"deepest": "first"}, "deepest"),
        ({"predict": "net"}, "predict"),
        ({"exit_modules": 1}, "exit_modules"),
        ({"predict": "modules", "exit_modules": 4}, "exit_modules"),
        ({"predict": "modules", "exit_modules": 0}, "exit_modules"),
        ({"form": "slow"}, "form"),
        ({"gate_norm": True, "global_gates": "none"}, "gate_norm"),
        ({"stop_gradients": True, "net_output": "none"}, "stop_gradients"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        Gated(**options)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 4}, "this backbone has 3 levels"),
        ({"depth": 3, "deepest": "before_last"}, "this backbone has 2 levels"),
        ({"depth": 1, "net_output": "none"}, "a single hypothesis"),
        ({"depth": 1, "net_output": "half"}, "a single hypothesis"),
        ({"depth": 2, "net_output": "none", "global_gates": "none", "deepest": "before_last"}, "train the last stage"),
    ],
)
def test_pairs_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(**options)
