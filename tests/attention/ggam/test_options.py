"""Counts, defaults and rejected options of GGAM."""

import math
from typing import Any

import pytest
import torch

from attnbench.attention.ggam import GGAM
from attnbench.attention.ggam_guide import Guide
from attnbench.attention.ggam_modules import MLP, Excitation
from attnbench.backbones.resnet import ResNet
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count_parameters
from attnbench.errors import OptionError, UserError
from tests.attention.ggam.networks import CLASSES


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
    assert (paper.scale, official.scale, GGAM(scale="literal").scale) == ("unit", "literal", "literal")


def test_the_scale_in_a_config_follows_the_variant_and_is_an_older_runs_where_literal() -> None:
    def scale_of(*options: str) -> tuple[object, bool]:
        config = compose(["attention=ggam", *options])
        return config["attention"]["scale"], "attention.scale" in config.identity

    assert scale_of() == ("unit", True)
    assert scale_of("attention.variant=official") == ("literal", False)
    assert scale_of("attention.scale=literal") == ("literal", False)


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
        ({"scale": "large"}, "scale"),
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
