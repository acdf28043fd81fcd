"""GGAM against its equations, written out with loops in numpy; class-score gradients by complex steps."""

import copy
import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnbench.attention.base import Output
from attnbench.attention.ggam import GGAM
from attnbench.attention.ggam_guide import Divergence, Guide, LossReduction, Squash
from attnbench.attention.ggam_modules import MLP, Excitation, quotient, softmax_2d
from attnbench.backbones.base import Features
from attnbench.backbones.resnet import ResNet
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count_parameters
from attnbench.errors import OptionError, UserError

Array = npt.NDArray[Any]
CLASSES = 5
CHANNELS = 12
LABELS = torch.tensor([3, 0, 4])
SMALL = {"reduction": 3, "head_width": 7}
LINEAR = {"reduction": 3, "head": "linear"}


def ggam(**options: Any) -> GGAM:
    """A GGAM behind 12 channels, in double precision, with nothing left at its initial value."""
    found = GGAM(**{**(LINEAR if options.get("head") == "linear" else SMALL), **options})
    found.attach(ResNet(8, CLASSES, width=3))
    generator = torch.Generator().manual_seed(3)
    for name, tensor in found.double().state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.5 + 0.1)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return found


def features_of(batch: int = 3, size: tuple[int, int] = (2, 3), requires_grad: bool = True) -> Features:
    """Positive features without ties, a quarter of them zero."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(batch, CHANNELS, *size, generator=generator, dtype=torch.float64)
    x = torch.where(x < 0.25, torch.zeros(()).double(), x)
    return Features(x.requires_grad_(requires_grad), {})


def network(**options: Any) -> Classifier:
    torch.manual_seed(5)
    return Classifier(ResNet(8, CLASSES, width=4), GGAM(**{**SMALL, **options}))


def images_of(batch: int = 3, size: int = 16) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(6))


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def parameter_gradients(net: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


# the reference: equations sample by sample and position by position; all steps are analytic, so that a step of 1e-30
# along the imaginary axis gives derivatives that are exact to rounding


def positive_part(v: Array) -> Array:
    return np.where(v.real > 0, v, 0)


def reference_importance(a: Array, state: dict[str, Array]) -> Array:
    channels, height, width = a.shape
    pooled = np.array([sum(a[c, i, j] for i in range(height) for j in range(width)) for c in range(channels)])
    hidden = positive_part(state["excite.reduce.weight"] @ (pooled / (height * width)) + state["excite.reduce.bias"])
    grown = np.exp(state["excite.expand.weight"] @ hidden + state["excite.expand.bias"])
    return np.asarray(grown / grown.sum())


def reference_attended(a: Array, state: dict[str, Array], attention: GGAM) -> tuple[Array, Array]:
    """D and T of one sample; T is ones where there is none."""
    channels, height, width = a.shape
    importance = reference_importance(a, state) if attention.channel else np.full(channels, 1 / channels)
    if not attention.spatial:
        scaled = [a[c] * importance[c] for c in range(channels)] if attention.channel else list(a)
        return np.stack(scaled), np.ones((height, width))
    t = np.zeros((height, width), dtype=a.dtype)
    for i, j in itertools.product(range(height), range(width)):
        t[i, j] = sum(importance[c] * a[c, i, j] for c in range(channels))
    if attention.spatial_norm == "sum":
        t = t / t.sum()
    elif attention.spatial_norm == "softmax":
        t = np.exp(t) / np.exp(t).sum()
    else:
        t = 1 / (1 + np.exp(-t))
    return np.stack([a[c] * t for c in range(channels)]), t


def reference_head(d: Array, state: dict[str, Array], attention: GGAM) -> Array:
    """Logits of all samples; the batch matters, for batch normalisation."""
    flat = d.reshape(*d.shape[:2], -1)
    if attention.pooling == "max":
        pooled = np.array([[row[np.argmax(row.real)] for row in sample] for sample in flat])
    else:
        pooled = flat.sum(-1) / flat.shape[-1]
    if attention.head_kind == "linear":
        return np.asarray(pooled @ state["head.weight"].T + state["head.bias"])

    def norm(v: Array, name: str) -> Array:
        if attention.training:
            mean = v.sum(0) / len(v)
            variance = ((v - mean) ** 2).sum(0) / len(v)
        else:
            mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return np.asarray((v - mean) / np.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"])

    hidden = norm(pooled, "head.norm") @ state["head.hidden.weight"].T + state["head.hidden.bias"]
    hidden = norm(hidden, "head.hidden_norm")
    hidden = np.where(hidden.real > 0, hidden, np.exp(hidden) - 1)
    return np.asarray(hidden @ state["head.classify.weight"].T + state["head.classify.bias"])


def reference_logits(a: Array, state: dict[str, Array], attention: GGAM) -> Array:
    return reference_head(np.stack([reference_attended(x, state, attention)[0] for x in a]), state, attention)


def reference_weights(a: Array, state: dict[str, Array], attention: GGAM, labels: list[int]) -> Array:
    """beta (B, C): one complex step for every number of the map that the gradient is taken at."""
    at_output = attention.gradient_at == "output"
    site = np.stack([reference_attended(x, state, attention)[0] for x in a]) if at_output else a
    logits = reference_head if at_output else reference_logits
    gradient = np.zeros(site.shape)
    for index in np.ndindex(*site.shape):
        moved = site.astype(complex)
        moved[index] += 1e-30j
        scores = logits(moved, state, attention)
        gradient[index] = sum(scores[b, label] for b, label in enumerate(labels)).imag / 1e-30
    return np.asarray(gradient.mean((2, 3)))


def reference_distance(s: Array, beta: Array, squash: str, divergence: str, loss_reduction: str) -> float:
    """The guide of importances and weights (B, C), term by term."""
    distances = []
    for row, weights in zip(s.tolist(), beta.tolist(), strict=True):
        if squash == "sigmoid":
            w = [1 / (1 + math.exp(-value)) for value in weights]
        else:
            w = [math.exp(value) / sum(math.exp(other) for other in weights) for value in weights]
        if divergence != "literal":
            w = [value / sum(w) for value in w]
        forth = sum(p * math.log(p / q) for p, q in zip(row, w, strict=True))
        back = sum(q * math.log(q / p) for p, q in zip(row, w, strict=True))
        distances.append(forth if divergence == "one_way" else (forth + back) / 2)
    return sum(distances) / (len(distances) if loss_reduction == "mean" else 1)


def state_of(attention: GGAM) -> dict[str, Array]:
    return {name: tensor.clone().numpy() for name, tensor in attention.state_dict().items()}


CASES: list[dict[str, Any]] = [
    {},
    {"variant": "official"},
    {"spatial_norm": "softmax"},
    {"gradient_at": "output"},
    {"gradient_class": "predicted", "spatial_norm": "sigmoid"},
    {"pooling": "avg"},
    {"head": "linear"},
    {"head": "linear", "pooling": "avg", "spatial_norm": "softmax", "gradient_at": "output"},
    {"spatial": False},
    {"channel": False, "lambda_": 0.0},
    {"channel": False, "lambda_": 0.0, "spatial_norm": "sigmoid"},
    {"channel": False, "spatial": False, "lambda_": 0.0},
]


def name_of(options: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items()) or "default"


@pytest.mark.parametrize("options", CASES, ids=name_of)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_parity_with_the_equations(options: dict[str, Any], training: bool) -> None:
    attention = ggam(**options).train(training)
    state = state_of(attention)
    features = features_of()
    a = features.final.detach().numpy()
    output = attention.classify(features, None)
    expected = reference_logits(a, state, attention)
    assert np.abs(output.logits.detach().numpy() - expected).max() < 1e-10
    maps = attention.maps(output)
    assert maps.keys() == {name for name in ("channel", "spatial") if getattr(attention, name)}
    for b, sample in enumerate(a):
        if attention.channel:
            found = maps["channel"][b, :, 0, 0].detach().numpy()
            assert np.abs(found - reference_importance(sample, state)).max() < 1e-10
        if attention.spatial:
            found = maps["spatial"][b, 0].detach().numpy()
            assert np.abs(found - reference_attended(sample, state, attention)[1]).max() < 1e-10


@pytest.mark.parametrize("options", [case for case in CASES if case.get("channel", True)], ids=name_of)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_weights_and_guide_have_parity_with_complex_steps(options: dict[str, Any], training: bool) -> None:
    attention = ggam(**options, lambda_=1.5).train(training)
    state, guide = state_of(attention), attention.guide
    features = features_of()
    a = features.final.detach().numpy()
    output = attention.classify(features, None)
    predicted = reference_logits(a, state, attention).argmax(1).tolist()
    assert predicted != LABELS.tolist()
    labels = predicted if guide.gradient_class == "predicted" else LABELS.tolist()
    beta = reference_weights(a, state, attention, labels)
    assert np.abs(beta).max() > 1e-4
    assert np.abs(guide.weights(output, LABELS).numpy() - beta).max() < 1e-10
    s = np.stack([reference_importance(sample, state) for sample in a])
    expected = 1.5 * reference_distance(s, beta, guide.squash, guide.divergence, guide.loss_reduction)
    losses = attention.losses(output, LABELS)
    assert losses["guide"].item() == pytest.approx(expected, abs=1e-10)
    assert losses["cross_entropy"].item() == pytest.approx(F.cross_entropy(output.logits, LABELS).item(), rel=1e-6)


@pytest.mark.parametrize("squash", ["sigmoid", "softmax"])
@pytest.mark.parametrize("divergence", ["symmetric", "literal", "one_way"])
@pytest.mark.parametrize("loss_reduction", ["mean", "sum"])
def test_parity_of_each_divergence(squash: Squash, divergence: Divergence, loss_reduction: LossReduction) -> None:
    generator = torch.Generator().manual_seed(7)
    log_s = (2 * torch.randn(4, 6, generator=generator, dtype=torch.float64)).log_softmax(1)
    beta = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    guide = Guide("truth", squash, divergence, loss_reduction, "none", False)
    expected = reference_distance(log_s.exp().numpy(), beta.numpy(), squash, divergence, loss_reduction)
    assert guide.distance(log_s, beta).item() == pytest.approx(expected, abs=1e-10)


def test_weight_norms() -> None:
    features = features_of()
    plain, summed, scored = (
        attention.guide.weights(attention.classify(features, None), LABELS).numpy()
        for attention in (ggam(weight_norm=name).eval() for name in ("none", "sum", "zscore"))
    )
    assert np.abs(summed - 6 * plain).max() < 1e-12
    for row, expected in zip(scored, plain, strict=True):
        assert np.abs(row - (expected - expected.mean()) / expected.std()).max() < 1e-10


def test_soft_targets_stand_for_their_most_likely_class() -> None:
    attention = ggam().eval()
    output = attention.classify(features_of(), None)
    soft = F.one_hot(LABELS, CLASSES) * 0.9 + 0.1 / CLASSES
    assert torch.equal(attention.guide.weights(output, soft), attention.guide.weights(output, LABELS))
    assert torch.equal(attention.losses(output, soft)["guide"], attention.losses(output, LABELS)["guide"])


# invariants


distributions = st.lists(st.floats(-6, 6), min_size=2, max_size=9)


@given(distributions, st.integers(0, 2**32 - 1), st.sampled_from(["sigmoid", "softmax"]))
def test_the_literal_formula_is_a_divergence_plus_an_offset(logits: list[float], seed: int, squash: Squash) -> None:
    log_s = torch.tensor([logits], dtype=torch.float64).log_softmax(1)
    beta = torch.randn(log_s.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    names: tuple[Divergence, ...] = ("symmetric", "literal", "one_way")
    found = {name: Guide("truth", squash, name, "mean", "none", False).distance(log_s, beta).item() for name in names}
    w = torch.sigmoid(beta) if squash == "sigmoid" else beta.softmax(1)
    mass = w.sum().item()
    log_p = (w / mass).log()
    forth, back = F.kl_div(log_p, log_s.exp(), reduction="sum"), F.kl_div(log_s, log_p.exp(), reduction="sum")
    assert found["one_way"] == pytest.approx(forth.item(), abs=1e-9)
    assert found["symmetric"] == pytest.approx((forth + back).item() / 2, abs=1e-9)
    offset = (mass - 1) * math.log(mass) / 2
    assert found["literal"] == pytest.approx((forth + mass * back).item() / 2 + offset, abs=1e-9)
    assert found["symmetric"] >= 0
    assert found["one_way"] >= -1e-12


@given(st.lists(st.floats(-6, 6), min_size=2, max_size=9), st.sampled_from(["symmetric", "one_way"]))
def test_a_divergence_is_zero_where_the_importances_are_the_weights(beta: list[float], divergence: Divergence) -> None:
    guide = Guide("truth", "sigmoid", divergence, "sum", "none", False)
    weights = torch.tensor([beta], dtype=torch.float64)
    w = torch.sigmoid(weights)
    log_s = (w / w.sum()).log()
    assert abs(guide.distance(log_s, weights).item()) < 1e-12
    other = (log_s + torch.linspace(0, 1, log_s.shape[1], dtype=torch.float64)).log_softmax(1)
    assert guide.distance(other, weights).item() > 1e-4


@settings(max_examples=30)
@given(
    height=st.integers(1, 14), width=st.integers(1, 14), batch=st.integers(1, 3), scale=st.sampled_from([1e-6, 1, 1e3])
)
def test_importances_and_maps_sum_to_one(height: int, width: int, batch: int, scale: float) -> None:
    x = torch.rand(batch, CHANNELS, height, width) * scale
    log_s = Excitation(CHANNELS, 3)(x)
    assert torch.allclose(log_s.exp().sum(1), torch.ones(batch), atol=1e-5)
    for norm in (quotient, softmax_2d):
        t = norm(x.mean(1, keepdim=True))
        assert t.min() >= 0
        assert torch.allclose(t.sum((1, 2, 3)), torch.ones(batch), atol=1e-4)


def test_negative_sums_count_as_zero_and_zeros_stay() -> None:
    x = torch.tensor([[[[3.0, -5.0], [1.0, 0.0]]], [[[0.0, -1.0], [0.0, 0.0]]]])
    assert quotient(x).flatten(1).tolist() == [[0.75, 0, 0.25, 0], [0, 0, 0, 0]]


# gradients


def test_the_score_gradient_touches_no_parameter_gradient() -> None:
    net = network()
    output = net.output(images_of())
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    net.losses(output, LABELS)
    assert isinstance(net.attention, GGAM)
    net.attention.diagnostics(output, LABELS)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        assert bool((parameter.grad == 0.25).all()), name


def test_the_step_is_that_of_cross_entropy_and_guide_alone() -> None:
    net, other = network(lambda_=2.0, weight_norm="zscore"), network(lambda_=2.0, weight_norm="zscore")
    total(net.losses(net.output(images_of()), LABELS)).backward()
    assert isinstance(other.attention, GGAM)
    weights = other.attention.guide.weights(other.output(images_of()), LABELS)
    output = other.output(images_of())
    log_s, w = output.extras["log_importance"], torch.sigmoid(weights.detach())
    w = w / w.sum(1, keepdim=True)
    guide = ((log_s.exp() - w) * (log_s - w.log())).sum() / 2 / len(w)
    (F.cross_entropy(output.logits, LABELS) + 2 * guide).backward()
    expected = parameter_gradients(other)
    found = parameter_gradients(net)
    assert found.keys() == expected.keys() == dict(net.named_parameters()).keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-4), name


def test_without_lambda_it_is_plain_cross_entropy_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, guided = network(lambda_=0.0), network()
    F.cross_entropy(guided.output(images_of()).logits, LABELS).backward()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("took a gradient")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    losses = plain.losses(plain.output(images_of()), LABELS)
    assert losses.keys() == {"cross_entropy"}
    total(losses).backward()
    monkeypatch.undo()
    expected = parameter_gradients(guided)
    found = parameter_gradients(plain)
    assert found.keys() == expected.keys() == dict(plain.named_parameters()).keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def guide_gradients(attention: GGAM, features: Features) -> tuple[Tensor, dict[str, Tensor | None]]:
    guide = attention.losses(attention.classify(features, None), LABELS)["guide"]
    named = dict(attention.named_parameters())
    found = torch.autograd.grad(guide, list(named.values()), allow_unused=True)
    return guide.detach(), dict(zip(named, found, strict=True))


@pytest.mark.parametrize("gradient_at", ["features", "output"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_second_order_is_the_whole_derivative_and_detached_is_not(gradient_at: str, training: bool) -> None:
    whole, detached = (
        ggam(second_order=order, weight_norm="sum", gradient_at=gradient_at).train(training) for order in (True, False)
    )
    features = features_of()
    value, gradients = guide_gradients(whole, features)
    same, constant = guide_gradients(detached, features)
    assert torch.equal(value, same)
    for name in constant:
        assert (constant[name] is None) == name.startswith("head"), name
    for name in ("head.hidden.weight", "head.classify.weight", "excite.reduce.weight", "excite.expand.bias"):
        parameter = dict(whole.named_parameters())[name]
        gradient = gradients[name]
        assert gradient is not None
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
        sides = []
        for step in (1e-5, -1e-5):
            moved = copy.deepcopy(whole)
            moved.get_parameter(name).data.add_(step * direction)
            sides.append(moved.losses(moved.classify(features, None), LABELS)["guide"].item())
        slope = (sides[0] - sides[1]) / 2e-5
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-9), name
        partial = constant[name]
        assert partial is None or (partial - gradient).abs().max() > 1e-8, name


@pytest.mark.parametrize(
    "options",
    [{}, {"variant": "official"}, {"second_order": True}, {"spatial": False}, {"second_order": True, "pooling": "avg"}],
    ids=name_of,
)
def test_gradients_reach_every_parameter(options: dict[str, Any]) -> None:
    net = network(**options)
    total(net.losses(net.output(images_of()), LABELS)).backward()
    found = parameter_gradients(net)
    for name, _ in net.named_parameters():
        assert found[name].isfinite().all(), name
        assert found[name].abs().sum() > 0, name


@pytest.mark.parametrize("spatial_norm", ["sum", "softmax", "sigmoid"])
@pytest.mark.parametrize("weight_norm", ["none", "zscore"])
def test_dead_features_give_finite_gradients(spatial_norm: str, weight_norm: str) -> None:
    attention = ggam(spatial_norm=spatial_norm, weight_norm=weight_norm, second_order=True)
    x = torch.zeros(3, CHANNELS, 2, 3, dtype=torch.float64, requires_grad=True)
    total(attention.losses(attention.classify(Features(x, {}), None), LABELS)).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in parameter_gradients(attention).values())


# where it has to work


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("gradient_at", ["features", "output"])
def test_bf16_changes_the_features_and_nothing_after_them(second_order: bool, gradient_at: str) -> None:
    attention = ggam(second_order=second_order, gradient_at=gradient_at).float()
    half = features_of().final.detach().bfloat16()
    found: list[dict[str, Tensor]] = []
    for enabled in (True, False):
        attention.zero_grad()
        features = Features((half if enabled else half.float()).requires_grad_(), {})
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = attention.classify(features, None)
            losses = attention.losses(output, LABELS)
            statistics = attention.diagnostics(output, LABELS)
        assert output.logits.dtype == torch.float32
        total(losses).backward()
        found.append({**parameter_gradients(attention), **losses, **statistics})
    for name, value in found[1].items():
        assert torch.equal(found[0][name], value), name


@pytest.mark.parametrize("gradient_at", ["features", "output"])
def test_a_frozen_backbone(gradient_at: str) -> None:
    net = network(gradient_at=gradient_at)
    expected = net.losses(net.output(images_of()), LABELS)
    frozen = network(gradient_at=gradient_at)
    frozen.backbone.requires_grad_(False)
    output = frozen.output(images_of())
    assert not output.features.final.requires_grad
    losses = frozen.losses(output, LABELS)
    assert torch.equal(losses["guide"], expected["guide"])
    total(losses).backward()
    assert parameter_gradients(frozen).keys() == {f"attention.{name}" for name, _ in net.attention.named_parameters()}


def test_compiled_features_and_an_eager_head() -> None:
    net = network(lambda_=2.0)
    eager = copy.deepcopy(net)
    net.backbone.compile(fullgraph=True, backend="aot_eager")
    losses, expected = (found.losses(found.output(images_of()), LABELS) for found in (net, eager))
    assert losses["guide"].item() == pytest.approx(expected["guide"].item(), rel=1e-4)
    total(losses).backward()
    total(expected).backward()
    gradients = parameter_gradients(eager)
    for name, gradient in parameter_gradients(net).items():
        assert torch.allclose(gradient, gradients[name], atol=1e-4), name


def test_evaluation_needs_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network().eval()
    expected = net(images_of())

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("took a gradient")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    with torch.no_grad():
        output = net.output(images_of())
        assert torch.equal(output.logits, expected)
        assert net.losses(output, LABELS).keys() == {"cross_entropy"}
    with torch.inference_mode():
        assert torch.equal(net(images_of()), expected)


def test_a_copy_of_a_trained_network_takes_the_same_step() -> None:
    net = network()
    names = list(net.state_dict())
    total(net.losses(net.output(images_of()), LABELS)).backward()
    net.zero_grad()
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == names
    losses, expected = (found.losses(found.output(images_of()), LABELS) for found in (twin, net))
    total(losses).backward()
    assert torch.equal(losses["guide"], expected["guide"])
    assert not parameter_gradients(net)


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (8, 8), (14, 14), (33, 47)], ids=str)
@pytest.mark.parametrize("spatial_norm", ["sum", "softmax", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 3])
def test_sizes_and_a_batch_of_one(size: tuple[int, int], spatial_norm: str, batch: int) -> None:
    attention = ggam(spatial_norm=spatial_norm).float().train()
    x = features_of(batch, size).final.detach().float().requires_grad_()
    output = attention.classify(Features(x, {}), None)
    assert output.logits.shape == (batch, CLASSES)
    shapes = {name: tuple(values.shape) for name, values in attention.maps(output).items()}
    assert shapes == {"channel": (batch, CHANNELS, 1, 1), "spatial": (batch, 1, *size)}
    total(attention.losses(output, LABELS[:batch])).backward()
    assert len(parameter_gradients(attention)) == len(list(attention.parameters()))
    assert all(gradient.isfinite().all() for gradient in parameter_gradients(attention).values())


# counts and options


@pytest.mark.parametrize(("channels", "parameters"), [(2048, 526_464), (512, 33_312)])
def test_parameters_of_the_importance(channels: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(Excitation(channels, channels // 16)) == parameters


def test_parameters_of_the_network() -> None:
    with torch.device("meta"):
        net = Classifier(ResNet(50, 100, image_size=448), GGAM())
        head = count_parameters(MLP(2048, 512, 100))
    assert head == 2 * 2048 + 2049 * 512 + 2 * 512 + 513 * 100
    assert count_parameters(net) == 23_508_032 + 526_464 + head


def test_defaults_follow_the_variant() -> None:
    paper, official, mixed = GGAM(), GGAM("official"), GGAM("official", divergence="literal", spatial_norm="sum")
    assert (paper.spatial_norm, paper.gradient_at) == ("sum", "features")
    assert paper.guide == Guide("truth", "sigmoid", "symmetric", "mean", "none", False)
    assert (official.spatial_norm, official.gradient_at) == ("sigmoid", "output")
    assert official.guide == Guide("predicted", "softmax", "one_way", "sum", "none", False)
    assert mixed.guide == Guide("predicted", "softmax", "literal", "sum", "none", False)
    assert (mixed.spatial_norm, mixed.gradient_at) == ("sum", "output")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"variant": "own"}, "variant"),
        ({"spatial_norm": "max"}, "spatial_norm"),
        ({"reduction": 0}, "reduction"),
        ({"pooling": "flatten"}, "pooling"),
        ({"head": "mlp2"}, "head"),
        ({"head_width": 0}, "head_width"),
        ({"head_width": "wide"}, "head_width"),
        ({"head_width": 64, "head": "linear"}, "head_width"),
        ({"lambda_": -0.1}, "lambda_"),
        ({"lambda_": math.inf}, "lambda_"),
        ({"lambda_": math.nan}, "lambda_"),
        ({"gradient_at": "stem"}, "gradient_at"),
        ({"gradient_class": "second"}, "gradient_class"),
        ({"squash": "tanh"}, "squash"),
        ({"divergence": "euclid"}, "divergence"),
        ({"loss_reduction": "batchmean"}, "loss_reduction"),
        ({"weight_norm": "l2"}, "weight_norm"),
        ({"spatial": False, "spatial_norm": "sum"}, "spatial_norm"),
        ({"channel": False}, "channel"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        GGAM(**options)
    assert caught.value.key == key


def test_a_reduction_that_leaves_no_channel() -> None:
    with pytest.raises(OptionError, match="leaves none of the 12 channels"):
        GGAM(reduction=13).attach(ResNet(8, CLASSES, width=3))


def test_lambda_on_the_command_line() -> None:
    options = ["attention=ggam", "attention.reduction=4", "data=cifar10", "backbone=resnet20", "backbone.width=4"]
    net = build_model(compose([*options, "attention.lambda=0.25"]))
    assert isinstance(net.attention, GGAM)
    assert net.attention.weight == 0.25
    with pytest.raises(UserError, match=r"attention\.lambda=-1"):
        build_model(compose([*options, "attention.lambda=-1"]))


# diagnostics


def test_diagnostics() -> None:
    attention = ggam().eval()
    output = attention.classify(features_of(), None)
    found = attention.diagnostics(output, LABELS)
    s = output.extras["log_importance"].detach().exp().numpy()
    beta = attention.guide.weights(output, LABELS).numpy()
    p = 1 / (1 + np.exp(-beta))
    p /= p.sum(1, keepdims=True)
    expected = {
        "entropy": -(s * np.log(s)).sum(1).mean() / math.log(CHANNELS),
        "target_kl": (p * np.log(p * CHANNELS)).sum(1).mean(),
        "correlation": np.mean([np.corrcoef(row, weights)[0, 1] for row, weights in zip(s, beta, strict=True)]),
        "weight": np.abs(beta).mean(),
    }
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.ndim == 0
        assert not value.requires_grad
        assert value.item() == pytest.approx(expected[name], abs=1e-10), name
    total(attention.losses(output, LABELS)).backward()  # the graph is still whole


def test_a_guide_that_is_followed_shows_in_the_diagnostics() -> None:
    attention = ggam(weight_norm="zscore", lambda_=1.0).eval()
    features = features_of(requires_grad=False)
    optimiser = torch.optim.Adam(attention.excite.parameters(), 0.05)

    def step() -> dict[str, float]:
        output = attention.classify(features, None)
        found = {name: value.item() for name, value in attention.diagnostics(output, LABELS).items()}
        guide = attention.losses(output, LABELS)["guide"]
        optimiser.zero_grad()
        guide.backward()
        optimiser.step()
        return {**found, "guide": guide.item()}

    first = step()
    for _ in range(100):
        last = step()
    assert last["guide"] < first["guide"] / 4
    assert last["correlation"] > max(0.5, first["correlation"])
    assert last["entropy"] > first["entropy"]


def test_diagnostics_where_there_is_nothing_to_compare() -> None:
    unguided = ggam(lambda_=0.0)
    output = unguided.classify(features_of(), None)
    assert unguided.diagnostics(output, LABELS).keys() == {"entropy", "target_kl", "correlation", "weight"}
    with torch.no_grad():
        output = unguided.classify(features_of(), None)
    assert unguided.diagnostics(output, LABELS).keys() == {"entropy"}
    bare = ggam(channel=False, lambda_=0.0)
    output = bare.classify(features_of(), None)
    assert isinstance(output, Output)
    assert bare.diagnostics(output, LABELS) == {}
