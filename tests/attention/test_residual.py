"""Residual attention against its equations, its figure 2 and its authors' counts, written out independently."""

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attnbench.attention.residual import ResidualAttention
from attnbench.attention.residual_modules import ACTIVATIONS, ResidualAttentionModule
from attnbench.backbones.base import Backbone
from attnbench.backbones.inception import InceptionResNet
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.build import build_backbone, build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.construct import construct
from attnbench.cost import count, count_parameters
from attnbench.errors import OptionError

State = dict[str, Tensor]


def attention(**options: object) -> ResidualAttention:
    return ResidualAttention(**options)  # type: ignore[arg-type]


def cifar(width: int = 2, **options: object) -> Classifier:
    """The CIFAR network: 8, 16 and 32 channels, unless wider."""
    torch.manual_seed(0)
    return Classifier(PreActResNet(20, 10, width=width, block="bottleneck"), attention(**options))


def module(width: int = 2, depth: int = 3, **options: object) -> ResidualAttentionModule:
    """One module of 4 * width channels."""
    net = cifar(width, mask_depth=[depth], **options)
    found = net.backbone.get_submodule("stage1.out.residual0")
    assert isinstance(found, ResidualAttentionModule)
    return found


def randomised(found: ResidualAttentionModule) -> ResidualAttentionModule:
    """The module in double precision with nothing left at its initial value."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in found.double().state_dict().items():
        if tensor.is_floating_point():
            positive = name.endswith("running_var") or (".bn" in name and name.endswith("weight"))
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(noise.abs() + 0.5 if positive else 0.4 * noise)
    return found.eval()


# The reference: Fig. 2 as a recursion, every layer by its definition.


def norm_relu(x: Tensor, state: State, name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp_min(0)


def conv(x: Tensor, state: State, name: str) -> Tensor:
    weight = state[f"{name}.weight"]
    size = weight.shape[-1]
    return (weight.flatten(1) @ F.unfold(x, size, padding=size // 2)).reshape(len(x), -1, *x.shape[2:])


def unit(x: Tensor, state: State, name: str) -> Tensor:
    y = x
    for index in (1, 2, 3):
        y = conv(norm_relu(y, state, f"{name}.bn{index}"), state, f"{name}.conv{index}")
    return x + y


def units(x: Tensor, state: State, name: str, number: int) -> Tensor:
    for index in range(number):
        x = unit(x, state, f"{name}.{index}")
    return x


def caffe_pool(x: Tensor) -> Tensor:
    """Caffe's 3x3 pooling with stride 2: output sizes rounded up, windows cut off at the border."""
    height, width = (math.ceil((side - 3) / 2) + 1 for side in x.shape[2:])
    rows = [
        torch.stack([x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].amax((2, 3)) for j in range(width)], -1)
        for i in range(height)
    ]
    return torch.stack(rows, -2)


def lines(small: int, large: int) -> Tensor:
    """Weights (large, small) of linear interpolation with the first and last samples on one another."""
    weights = torch.zeros(large, small, dtype=torch.float64)
    for index in range(large):
        place = index * (small - 1) / (large - 1) if large > 1 else 0.0
        left = min(int(place), small - 1)
        weights[index, left] += 1 - (place - left)
        weights[index, min(left + 1, small - 1)] += place - left
    return weights


def aligned(x: Tensor, size: torch.Size) -> Tensor:
    rows, columns = lines(x.shape[2], size[0]), lines(x.shape[3], size[1])
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


def descend(x: Tensor, state: State, level: int, depth: int, r: int) -> Tensor:
    """The mask branch below a map: pool, r units, and what lies deeper."""
    pooled = caffe_pool(x)
    if level == depth:
        return units(pooled, state, f"mask.branch.down.{level - 1}", 2 * r)
    here = units(pooled, state, f"mask.branch.down.{level - 1}", r)
    below = descend(here, state, level + 1, depth, r)
    inner_first = depth - 1 - level
    joint = aligned(below, here.shape[2:]) + unit(here, state, f"mask.branch.skip.{inner_first}")
    return units(joint, state, f"mask.branch.up.{inner_first}", r)


def activate(u: Tensor, activation: str) -> Tensor:
    """Equations 4 to 6, one position or one channel at a time."""
    result = torch.empty_like(u)
    if activation == "channel":
        for i in range(u.shape[2]):
            for j in range(u.shape[3]):
                vector = u[:, :, i, j]
                result[:, :, i, j] = vector / vector.pow(2).sum(1, keepdim=True).sqrt()
        return result
    for b in range(u.shape[0]):
        for c in range(u.shape[1]):
            plane = u[b, c]
            if activation == "spatial":
                mean = plane.sum() / plane.numel()
                plane = (plane - mean) / ((plane - mean).pow(2).sum() / plane.numel() + 1e-5).sqrt()
            result[b, c] = 1 / (1 + torch.exp(-plane))
    return result


def reference(
    x: Tensor, state: State, depth: int, p: int, t: int, r: int, mask: str, activation: str, learning: str
) -> tuple[Tensor, Tensor]:
    x = units(x, state, "pre", p)
    local = mask == "local"
    u = units(x, state, "mask.branch", 3) if local else aligned(descend(x, state, 1, depth, r), x.shape[2:])
    for index in (1, 2):
        u = conv(norm_relu(u, state, f"mask.norm{index}"), state, f"mask.conv{index}")
    m = activate(u, activation)
    trunk = units(x, state, "trunk", t)
    return units(m * trunk if learning == "naive" else (1 + m) * trunk, state, "post", p), m


@pytest.mark.parametrize(
    ("size", "depth", "ptr", "mask", "activation", "learning"),
    [
        ((32, 32), 3, (1, 2, 1), "encoder_decoder", "mixed", "residual"),
        ((28, 28), 2, (1, 2, 1), "encoder_decoder", "mixed", "naive"),
        ((8, 8), 3, (1, 2, 1), "encoder_decoder", "mixed", "residual"),
        ((33, 47), 3, (1, 2, 1), "encoder_decoder", "spatial", "residual"),
        ((28, 28), 1, (1, 2, 1), "encoder_decoder", "channel", "residual"),
        ((33, 47), 1, (1, 1, 1), "encoder_decoder", "spatial", "naive"),
        ((9, 17), 2, (2, 4, 3), "encoder_decoder", "mixed", "residual"),
        ((2, 3), 1, (1, 2, 2), "encoder_decoder", "channel", "naive"),
        ((7, 5), 3, (1, 2, 1), "local", "mixed", "residual"),
        ((1, 1), 3, (1, 2, 1), "local", "spatial", "naive"),
    ],
    ids=str,
)
def test_parity_with_the_equations(
    size: tuple[int, int], depth: int, ptr: tuple[int, int, int], mask: str, activation: str, learning: str
) -> None:
    p, t, r = ptr
    found = randomised(module(depth=depth, p=p, t=t, r=r, mask=mask, activation=activation, learning=learning))
    x = torch.randn(2, 8, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        refined = found(x)
        expected, gate = reference(x, found.state_dict(), depth, p, t, r, mask, activation, learning)
    assert torch.allclose(refined.extras["mask"], gate, rtol=1e-10, atol=1e-10)
    assert torch.allclose(refined.features, expected, rtol=1e-10, atol=1e-10)
    if size != (1, 1):
        assert gate.std() > 0.01  # neither saturated nor constant


POSTACTIVATED: dict[str, Callable[[], Backbone]] = {
    "resnet": lambda: ResNet(20, 10, width=8),
    "resnext": lambda: ResNeXt(11, 2, 2, 10, width=2),
    "inception": lambda: InceptionResNet(10, width=4, blocks=[1, 1, 1]),
}


@pytest.mark.parametrize("activation", ["mixed", "channel", "spatial"])
@pytest.mark.parametrize("family", POSTACTIVATED)
@torch.no_grad()
def test_a_mask_of_postactivation_blocks_ends_without_their_norm(family: str, activation: str) -> None:
    """1x1, BN-ReLU, 1x1, as the released AttentionNeXt has it; the rest is as with every block."""
    torch.manual_seed(0)
    net = Classifier(POSTACTIVATED[family](), attention(activation=activation))
    found = net.backbone.get_submodule("stage1.out.residual0")
    assert isinstance(found, ResidualAttentionModule)
    state = randomised(found).state_dict()
    channels = net.backbone.points["stage1.out"].channels
    x = torch.randn(2, channels, 12, 9, dtype=torch.float64).relu()
    branch = found.mask.get_submodule("branch")(found.pre(x))
    assert branch.min() >= 0
    u = conv(norm_relu(conv(branch, state, "mask.conv1"), state, "mask.norm2"), state, "mask.conv2")
    refined, gate = found(x), activate(u, activation)
    assert torch.allclose(refined.extras["mask"], gate, rtol=1e-10, atol=1e-10)
    assert torch.allclose(refined.features, found.post((1 + gate) * found.trunk(found.pre(x))), rtol=1e-10, atol=1e-10)
    assert {name.split(".")[1] for name in state if name.startswith("mask")} == {"branch", "conv1", "norm2", "conv2"}


@pytest.mark.parametrize("learning", ["residual", "naive"])
def test_a_zero_mask_leaves_the_trunk_or_nothing(learning: str) -> None:
    found = module(activation="channel", learning=learning).eval()
    nn.init.zeros_(found.mask.get_parameter("conv2.weight"))
    x = torch.randn(2, 8, 16, 12)
    trunk = found.trunk(found.pre(x))
    expected = trunk if learning == "residual" else torch.zeros_like(trunk)
    refined = found(x)
    assert refined.extras["mask"].count_nonzero() == 0
    assert torch.equal(refined.features, found.post(expected))


maps = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=40)
@given(shape=maps, seed=st.integers(0, 999), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_bounds_of_each_activation(shape: tuple[int, int, int, int], seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    u = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    gate = ACTIVATIONS["mixed"](u)
    assert gate.min() > 0
    assert gate.max() <= 1
    unit_vectors = ACTIVATIONS["channel"](u)
    assert unit_vectors.abs().max() <= 1 + 1e-12
    assert torch.allclose(unit_vectors.square().sum(1), torch.ones((), dtype=torch.float64))
    assert torch.equal(unit_vectors.sign(), u.sign())
    inner = ACTIVATIONS["spatial"](u).logit()
    assert torch.allclose(inner.mean((2, 3)), torch.zeros((), dtype=torch.float64), atol=1e-9)
    variance = u.var((2, 3), correction=0)
    assert torch.allclose(inner.var((2, 3), correction=0), variance / (variance + 1e-5))


def test_spatial_attention_is_of_each_image_and_channel_alone() -> None:
    u = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    other = u.clone()
    other[1, 2] = 7 * u[1, 2] + 3
    other[0, 1] = torch.randn(6, 5, dtype=torch.float64)
    change = (ACTIVATIONS["spatial"](other) - ACTIVATIONS["spatial"](u)).abs().amax((2, 3))
    assert change[1, 2] < 1e-4  # scale and shift are lost, but for the constant below the root
    assert change[0, 1] > 0.01
    assert change.count_nonzero() == 2


def test_channel_attention_of_a_dead_position_is_zero_with_a_finite_gradient() -> None:
    u = torch.zeros(1, 4, 2, 2, requires_grad=True)
    gate = ACTIVATIONS["channel"](u)
    gate.sum().backward()
    assert gate.count_nonzero() == 0
    assert u.grad is not None
    assert u.grad.isfinite().all()


IMAGENET = {
    "attention56": (31_810_728, 6.27),
    "attention92": (52_466_344, 10.53),
    "attentionnext56": (31_318_824, 6.42),
    "attentioninception56": (32_097_032, 6.26),  # ours; printed: 31.9 M and 6.3 G
}


@pytest.mark.parametrize(("name", "expected"), IMAGENET.items())
def test_imagenet_experiments(name: str, expected: tuple[int, float]) -> None:
    config = compose([f"experiment={name}_imagenet", "data=cifar10"])  # the counts need no images
    with torch.device("meta"):
        backbone = build_backbone(config, num_classes=1000, in_channels=3, image_size=224)
        net = Classifier(backbone, construct("attention", config["attention"]))
        cost = count(net, 3, 224)
    assert (cost.parameters, round(cost.multiply_adds / 1e9, 2)) == expected
    assert (config["recipe"]["epochs"], config["recipe"]["milestones"]) == (106, [40, 80, 100])
    assert (config["data"]["batch_size"], config["data"]["validation"]) == (256, 0)
    if "inception" not in name:  # the longest way through its units has four layers
        assert trunk_layers(net) == int(re.sub(r"\D", "", name))


def test_attention_inception_is_of_the_printed_size() -> None:
    """Table 7: 31.9 M parameters, 6.3 G multiply-adds."""
    parameters, giga = IMAGENET["attentioninception56"]
    assert parameters / 1e6 == pytest.approx(31.9, rel=0.01)
    assert giga == pytest.approx(6.3, rel=0.01)


def test_counts_of_the_imagenet_modules() -> None:
    with torch.device("meta"):
        backbone = PreActResNet(20, 1000, image_size=224, width=64, block="bottleneck", blocks=[1, 1, 1, 3])
        Classifier(backbone, ResidualAttention(1))
    found = [backbone.get_submodule(f"stage{stage}.out.residual0") for stage in (1, 2, 3)]
    assert [count_parameters(each) for each in found] == [976_896, 3_046_912, 8_804_352]
    masks = [count_parameters(each.get_submodule("mask")) for each in found]
    assert masks == [695_296, 1_926_656, 4_335_616]
    assert not list(backbone.get_submodule("stage4.out").children())


CIFAR = {
    "attention56": (1_030_362, 0.123),
    "attention92": (1_841_242, 0.212),
    "attention128": (2_652_122, 0.301),
    "attention164": (3_463_002, 0.390),
    "attention236": (5_084_762, 0.568),
    "attention452": (10_181_210, 0.984),
}


@pytest.mark.parametrize(("name", "cost"), CIFAR.items())
def test_cifar_experiments(name: str, cost: tuple[int, float]) -> None:
    config = compose([f"experiment={name}_cifar10"])
    net = build_model_on_meta(config)
    assert trunk_layers(net) == int(name.removeprefix("attention"))
    assert (config["recipe"]["milestones"], config["data"]["batch_size"]) == ([81.84, 122.76], 64)
    one = count(build_model_on_meta(compose([f"experiment={name}_cifar10", "attention.modules=1"])), 3, 32)
    more = config["attention"]["modules"] - 1  # each further module costs the same
    multiply_adds = one.multiply_adds + more * one.attention_multiply_adds
    assert (count_parameters(net), round(multiply_adds / 1e9, 3)) == cost
    assert count_parameters(net) == one.parameters + more * one.attention_parameters


@pytest.mark.parametrize(("modules", "mega"), [(2, 1.96), (6, 5.20)])
def test_the_other_reading_of_the_cifar_networks(modules: int, mega: float) -> None:
    """One unit a stage and three at the end, as on ImageNet, fits table 6 (1.9 and 5.1 M) about as well."""
    with torch.device("meta"):
        backbone = PreActResNet(20, 10, block="bottleneck", blocks=[1, 1, 4])
        net = Classifier(backbone, ResidualAttention(modules))
    assert round(count_parameters(net) / 1e6, 2) == mega


def test_fewer_units_bring_attention452_nearer_to_its_printed_size() -> None:
    config = compose(["experiment=attention452_cifar10", "attention.r=2", "attention.modules=1"])
    one = build_model_on_meta(config)
    modules = [count_parameters(one.backbone.get_submodule(f"stage{stage}.out")) for stage in (1, 2, 3)]
    assert round((count_parameters(one) + 5 * sum(modules)) / 1e6, 2) == 8.75


def trunk_layers(net: nn.Module) -> int:
    """Weighted layers outside masks and shortcuts."""
    return sum(
        isinstance(layer, nn.Conv2d | nn.Linear) and not {"mask", "shortcut"} & set(name.split("."))
        for name, layer in net.named_modules()
    )


@given(
    modules=st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), p=st.integers(1, 3), t=st.integers(1, 5)
)
@settings(max_examples=8)
def test_depth(modules: list[int], p: int, t: int) -> None:
    with torch.device("meta"):
        net = cifar(modules=modules, p=p, t=t, mask_depth=[1, 1, 1])
    assert trunk_layers(net) == 3 * (2 * p + t) * sum(modules) + 20  # 36m + 20 for 1, 2 and m at each stage


@given(
    width=st.integers(1, 9), depth=st.integers(1, 5), p=st.integers(1, 3), t=st.integers(1, 4), r=st.integers(1, 4),
    local=st.booleans(),
)  # fmt: skip
@settings(max_examples=12)
def test_parameters_of_one_module(width: int, depth: int, p: int, t: int, r: int, local: bool) -> None:
    with torch.device("meta"):
        found = module(width, depth, p=p, t=t, r=r, mask="local" if local else "encoder_decoder")
    block = 17 * width**2 + 12 * width  # 4w to w, 3x3, w to 4w; norms of 4w, w and w channels
    units_of_mask = 3 if local else 2 * depth * r + depth - 1
    assert count_parameters(found.mask) == units_of_mask * block + 2 * (16 * width**2 + 8 * width)
    assert count_parameters(found) == count_parameters(found.mask) + (2 * p + t) * block


@pytest.mark.parametrize("activation", ["mixed", "channel", "spatial"])
@pytest.mark.parametrize("learning", ["residual", "naive"])
@pytest.mark.parametrize("mask", ["encoder_decoder", "local"])
def test_every_parameter_learns(activation: str, learning: str, mask: str) -> None:
    net = cifar(activation=activation, learning=learning, mask=mask)
    output = net.output(torch.randn(2, 3, 32, 32))
    net.losses(output, torch.tensor([3, 1]))["cross_entropy"].backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.count_nonzero() > 0, name


def test_the_mask_filters_the_gradient_of_the_trunk() -> None:
    found = module(learning="naive").eval()
    nn.init.zeros_(found.post[0].get_parameter("conv3.weight"))  # the post unit is the identity
    x = torch.randn(1, 8, 16, 16)
    trunk, mask = found.trunk(found.pre(x)), found(x).extras["mask"]
    (plain,) = torch.autograd.grad(trunk.square().sum(), found.trunk[1].get_parameter("conv3.weight"))
    assert plain.abs().sum() > 0
    direction = 2 * mask.detach() * trunk.detach()
    (expected,) = torch.autograd.grad(
        found.trunk(found.pre(x)), found.trunk[1].get_parameter("conv3.weight"), mask.detach() * direction
    )
    (got,) = torch.autograd.grad(found(x).features.square().sum(), found.trunk[1].get_parameter("conv3.weight"))
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-5)  # eq. 2


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (33, 47)], ids=str)
def test_maps_are_the_masks(size: tuple[int, int]) -> None:
    net = cifar(modules=[2, 0, 1])
    found = net.maps(net.output(torch.randn(2, 3, *size)))
    height, width = size
    quarter = (-(-height // 4), -(-width // 4))
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "stage1.module0": (2, 8, height, width),
        "stage1.module1": (2, 8, height, width),
        "stage3.module0": (2, 32, *quarter),
    }
    assert all(values.min() > 0 and values.max() < 1 for values in found.values())
    assert not torch.equal(found["stage1.module0"], found["stage1.module1"])


def test_a_batch_of_one_trains() -> None:
    net = cifar(activation="spatial").train()
    output = net.output(torch.randn(1, 3, 32, 32))
    net.losses(output, torch.tensor([3]))["cross_entropy"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("activation", ["mixed", "channel", "spatial"])
def test_bf16_autocast_is_near_fp32(activation: str) -> None:
    found = module(4, activation=activation).train()
    x = torch.randn(4, 16, 16, 16)
    full = found(x).extras["mask"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = found(x).extras["mask"]
    assert half.isfinite().all()
    assert (half.float() - full).abs().mean() < 0.05 * full.std() + 0.02


@pytest.mark.parametrize(
    "options",
    [{"activation": "channel", "mask": "local"}, {"activation": "spatial", "depth": 2, "learning": "naive"}],
    ids=str,
)
def test_compiles_as_one_graph_and_copies(options: dict[str, Any]) -> None:
    found = module(**options).eval()
    x = torch.randn(2, 8, 16, 20)
    expected = found(x)
    twin = copy.deepcopy(found)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.zero_()
    twin.compile(fullgraph=True, backend="aot_eager")
    assert torch.allclose(twin(x).features, expected.features, atol=1e-5)
    assert torch.allclose(twin(x).extras["mask"], expected.extras["mask"], atol=1e-5)


@given(depth=st.integers(1, 4), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(max_examples=40)
def test_a_map_too_small_for_the_mask_is_refused(depth: int, height: int, width: int) -> None:
    found = module(1, depth).eval()
    x = torch.randn(1, 4, height, width)
    left = min(height, width)
    for _ in range(depth):
        left = math.ceil((left - 3) / 2) + 1  # Caffe's
    if left >= 1:
        assert found(x).extras["mask"].shape == x.shape
    else:
        with pytest.raises(OptionError, match=f"too many poolings for a map of {height}x{width}"):
            found(x)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"mask": "none"}, "mask"),
        ({"activation": "sigmoid"}, "activation"),
        ({"learning": "both"}, "learning"),
        ({"p": 0}, "p"),
        ({"t": 0}, "t"),
        ({"r": 0}, "r"),
        ({"modules": -1}, "modules"),
        ({"modules": 0}, "modules"),
        ({"modules": [1, 2]}, "modules"),
        ({"modules": [0, 0, 0]}, "modules"),
        ({"modules": [1, -1, 1]}, "modules"),
        ({"mask_depth": []}, "mask_depth"),
        ({"mask_depth": [3, 2, 0]}, "mask_depth"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        attention(**options)
    assert caught.value.key == key


def test_pairs_that_make_no_sense() -> None:
    with pytest.raises(OptionError, match="names 4 stages of the backbone's 3"):
        cifar(mask_depth=[4, 3, 2, 1])
    with pytest.raises(OptionError, match="too many poolings for a map of 8x8"):
        cifar(mask_depth=[3, 2, 4])
    cifar(mask_depth=[3, 2, 4], modules=[1, 1, 0])
    cifar(mask_depth=[3, 2, 4], mask="local")

    class Blockless(PreActResNet):
        make_block = Backbone.make_block

    with pytest.raises(NotImplementedError, match="has no block to build attention of"):
        Classifier(Blockless(20, 10), ResidualAttention())


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"blocks": [1, 1, 3]}, "depth"),
        ({"blocks": [2, 2, 0, 2]}, "blocks"),
        ({"blocks": []}, "blocks"),
        ({"blocks": "many"}, "blocks"),
    ],
    ids=str,
)
def test_blocks_that_make_no_backbone(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        PreActResNet(20, 10, block="bottleneck", **options)  # type: ignore[arg-type]
    assert caught.value.key == key


def test_equal_blocks_are_the_plain_backbone() -> None:
    with torch.device("meta"):
        plain, spelled = PreActResNet(20, 10), PreActResNet(20, 10, blocks=[3, 3, 3])
        four = PreActResNet(20, 10, blocks=[1, 2, 3, 3])
    assert spelled.state_dict().keys() == plain.state_dict().keys()
    assert four.stages == ("stage1", "stage2", "stage3", "stage4")
    assert [four.points[f"{stage}.out"].stride for stage in four.stages] == [1, 2, 4, 8]
    assert len(four.match("stage2.block*.out")) == 2
