"""Options of wide residual networks: shortcuts, stem, dropout, initial weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnbench.attention.gated import Gated
from attnbench.backbones.wrn import ChannelDropoutConv2d, DropoutKind, WideResNet
from attnbench.build import build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count_parameters
from attnbench.errors import OptionError


@pytest.mark.parametrize(("stem_norm", "parameters"), [(False, 788_962), (True, 788_994)])
def test_released_gated_network_has_a_normalised_stem(stem_norm: bool, parameters: int) -> None:
    """WARN-16-2: weight and bias of the BN after the stem's 16 channels are the 32 parameters between them."""
    with torch.device("meta"):
        net = Classifier(WideResNet(16, 2, 10, stem_norm=stem_norm), Gated("official"))
    assert count_parameters(net) == parameters


def test_experiment_of_the_released_network_has_its_parameters() -> None:
    smaller = ("backbone.depth=16", "backbone.width=2")
    net = build_model_on_meta(compose(["experiment=gated_wrn28_10_cifar10", *smaller]))
    assert count_parameters(net) == 788_994


@pytest.mark.parametrize("normed", [False, True])
def test_stem_norm_is_batch_normalisation_and_relu(normed: bool) -> None:
    net = WideResNet(10, 1, 5, stem_width=4, stem_norm=normed).eval()
    response = net.stem(torch.randn(2, 3, 8, 8))
    assert (response.amin() >= 0) == normed


def test_stem_norm_is_rejected_where_the_stem_is_normalised() -> None:
    with pytest.raises(OptionError, match="is for stem=cifar"):
        WideResNet(10, 1, 5, image_size=224, stem_norm=True)


@pytest.mark.parametrize("option", ["shortcut_input", "dropout_kind", "init"])
def test_unknown_values_are_rejected(option: str) -> None:
    with pytest.raises(OptionError) as caught:
        WideResNet(10, 1, 5, **{option: "other"})  # type: ignore[arg-type]
    assert caught.value.key == option


def dropped(kind: DropoutKind, training: bool) -> Tensor:
    """Return what the second convolution of a block makes of ones, where all other layers are the identity."""
    net = WideResNet(10, 1, 5, stem_width=64, dropout=0.5, dropout_kind=kind).train(training)
    block: Any = net.get_submodule("stage1.block0")
    block.bn1 = block.bn2 = nn.Identity()
    for convolution in (block.conv1, block.conv2):
        nn.init.dirac_(convolution.weight)
    seen: list[Tensor] = []
    block.conv2.register_forward_hook(lambda _, inputs, output: seen.append(output))
    block(torch.ones(3, 64, 4, 4))
    return seen[0]


@pytest.mark.parametrize("kind", ["element", "channel"])
def test_dropout_drops_half_in_training_and_nothing_in_evaluation(kind: DropoutKind) -> None:
    torch.manual_seed(0)
    values = dropped(kind, training=True)
    assert set(values.unique().tolist()) == {0.0, 2.0}
    assert values.mean().item() == pytest.approx(1, abs=0.2)
    assert torch.equal(dropped(kind, training=False), torch.ones(3, 64, 4, 4))
    shares = values.mean((2, 3))
    assert set(shares.unique().tolist()) == {0.0, 2.0} if kind == "channel" else len(shares.unique()) > 2


def test_dropout_of_channels_leaves_names_and_weights_as_they_are() -> None:
    torch.manual_seed(0)
    plain = WideResNet(10, 1, 5)
    net = WideResNet(10, 1, 5, dropout=0.3, dropout_kind="channel")
    net.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(net.eval()(x).final, plain.eval()(x).final)
    assert not torch.equal(net.train()(x).final, plain.train()(x).final)
    assert isinstance(net.make_block("stage1").conv2, ChannelDropoutConv2d)


@pytest.mark.parametrize("init", ["fan_out", "fan_in"])
def test_deviations_of_initial_weights(init: str) -> None:
    torch.manual_seed(0)
    net = WideResNet(10, 10, 100, init=init)  # type: ignore[arg-type]
    built: Any = net.get_submodule("stage1.block0")
    made: Any = net.make_block("stage2")
    expected = (2 / (9 * (16 if init == "fan_in" else 160))) ** 0.5
    assert built.conv1.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert made.conv1.weight.std().item() == pytest.approx((2 / (9 * 320)) ** 0.5, rel=0.02)
    if init == "fan_in":
        classifier: Any = net.classifier
        assert classifier.weight.std().item() == pytest.approx((2 / 640) ** 0.5, rel=0.02)
