"""Residual attention against its equations and figure 2."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnbench.attention.residual_modules import ACTIVATIONS, ResidualAttentionModule
from attnbench.backbones.base import Backbone
from attnbench.backbones.inception import InceptionResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.build import build_backbone
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from tests.attention.parity.layers import Layers, caffe_pool
from tests.attention.residual.networks import attention, module, randomised
from tests.attention.residual.reference import Reference, activate


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
        options = {"p": p, "t": t, "r": r, "mask": mask, "activation": activation, "learning": learning}
        expected, gate = Reference(found.state_dict(), options).module(x, "", depth)
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
    layers = Layers(state)
    u = layers.convolve(layers.norm_relu(layers.convolve(branch, "mask.conv1"), "mask.norm2"), "mask.conv2")
    refined, gate = found(x), activate(u, activation)
    joined = layers.norm((1 + gate) * found.trunk(found.pre(x)), "norm")
    assert torch.allclose(refined.extras["mask"], gate, rtol=1e-10, atol=1e-10)
    assert torch.allclose(refined.features, found.post(joined), rtol=1e-10, atol=1e-10)
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


@pytest.mark.parametrize("name", ["attention56", "attention92", "attentionnext56"])
@torch.no_grad()
def test_the_imagenet_networks_pool_their_stem_as_caffe_does(name: str) -> None:
    narrow = ["backbone.width=8", "backbone.stem=imagenet"]
    narrow += ["backbone.cardinality=2", "backbone.base_width=2"] if "next" in name else []
    config = compose([f"experiment={name}_imagenet", *narrow])
    net = build_backbone(config, num_classes=10, in_channels=3, image_size=64).double().eval()
    state = net.state_dict()
    images = torch.randn(2, 3, 60, 64, dtype=torch.float64)
    drawn = F.conv2d(images, state["stem.0.weight"], stride=2, padding=3)
    expected = caffe_pool(Layers(state).norm_relu(drawn, "stem.1"))
    assert torch.allclose(net.get_submodule("stem")(images), expected, rtol=1e-12, atol=1e-12)
    padded = F.max_pool2d(Layers(state).norm_relu(drawn, "stem.1"), 3, 2, padding=1)
    assert not torch.allclose(padded, expected, atol=0.1)
