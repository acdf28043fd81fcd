"""GGAM's head receives features of the same scale in every row of an ablation."""

from typing import Any

import pytest
import torch

from attnbench.attention.ggam import GGAM
from attnbench.attention.ggam_modules import MLP
from attnbench.backbones.base import Features
from attnbench.backbones.resnet import ResNet

BATCH = 32

ABLATION: dict[str, dict[str, Any]] = {
    "neither": {"channel": False, "spatial": False, "lambda_": 0.0},
    "channel": {"spatial": False},
    "spatial": {"channel": False, "lambda_": 0.0},
    "spatial, by softmax": {"spatial_norm": "softmax"},
    "both": {},
    "official": {"variant": "official"},
}


def deviation(channels: int, side: int, **options: Any) -> float:
    """Deviation over a batch of what the head's first normalisation returns in training, mean over channels."""
    torch.manual_seed(0)
    attention = GGAM(reduction=4, head_width=8, **options)
    attention.attach(ResNet(8, 5, width=channels // 4))
    features = torch.randn(BATCH, channels, side, side).relu()  # of the size of a normalised map after its ReLU
    normalised: list[torch.Tensor] = []
    assert isinstance(attention.head, MLP)
    attention.head.norm.register_forward_hook(lambda _module, _input, found: normalised.append(found))
    with torch.no_grad():
        attention.train().classify(Features(features, {}), None)
    return normalised[0].std(0, correction=0).mean().item()


@pytest.mark.parametrize("size", [(32, 4), (512, 7), (128, 14)], ids=str)
@pytest.mark.parametrize("options", ABLATION.values(), ids=ABLATION.keys())
def test_the_heads_normalised_deviation_is_one(size: tuple[int, int], options: dict[str, Any]) -> None:
    assert deviation(*size, **options) == pytest.approx(1, rel=0.02)


def test_of_the_printed_formula_it_is_not() -> None:
    assert deviation(512, 7, spatial=False, scale="literal") < 0.5
    assert deviation(128, 14, scale="literal") < 0.99


@pytest.mark.parametrize("options", [{}, {"spatial": False}], ids=str)
def test_maps_and_importances_are_those_of_the_printed_formula(options: dict[str, Any]) -> None:
    features = Features(torch.rand(2, 16, 5, 3), {})
    found = []
    for scale in ("unit", "literal"):
        torch.manual_seed(0)
        attention = GGAM(reduction=4, head_width=8, scale=scale, **options)
        attention.attach(ResNet(8, 5, width=4))
        found.append(attention.maps(attention.classify(features, None)))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
