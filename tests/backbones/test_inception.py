"""Inception units against their definition, layer by layer."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.backbones.inception import InceptionResNet, InceptionUnit
from attnbench.errors import OptionError

State = dict[str, Tensor]


def norm(x: Tensor, state: State, name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def layer(x: Tensor, state: State, branch: int, index: int, stride: int) -> Tensor:
    """The branch's convolution `index`, its BN and its ReLU."""
    weight = state[f"branch{branch}.{3 * index}.weight"]
    y = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
    return norm(y, state, f"branch{branch}.{3 * index + 1}").clamp_min(0)


def reference(x: Tensor, state: State, stride: int, projected: bool) -> Tensor:
    one = layer(x, state, 1, 0, stride)
    two = layer(layer(x, state, 2, 0, 1), state, 2, 1, stride)
    three = layer(layer(layer(x, state, 3, 0, 1), state, 3, 1, stride), state, 3, 2, 1)
    y = norm(F.conv2d(torch.cat([one, two, three], 1), state["project.weight"]), state, "bn")
    if projected:
        x = norm(F.conv2d(x, state["shortcut.0.weight"], stride=stride), state, "shortcut.1")
    return (x + y).clamp_min(0)


@pytest.mark.parametrize(("in_channels", "stride"), [(32, 1), (32, 2), (12, 1), (12, 2)])
@pytest.mark.parametrize("size", [(8, 8), (9, 14), (1, 1)], ids=str)
@torch.no_grad()
def test_parity_with_the_definition(in_channels: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    unit = InceptionUnit(in_channels, 8, stride, stride).double().eval()
    for tensor in unit.state_dict().values():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    x = torch.randn(2, in_channels, *size, dtype=torch.float64)
    expected = reference(x, unit.state_dict(), stride, stride == 2 or in_channels != 32)
    assert torch.allclose(unit(x), expected, rtol=1e-10, atol=1e-10)
    assert expected.shape == (2, 32, -(-size[0] // stride), -(-size[1] // stride))


def test_widths_of_the_branches() -> None:
    with torch.device("meta"):
        unit = InceptionUnit(256, 64, 1, 1)
    shapes = {name: tuple(layer.weight.shape) for name, layer in unit.named_modules() if isinstance(layer, nn.Conv2d)}
    assert shapes == {
        "branch1.0": (16, 256, 1, 1),
        "branch2.0": (32, 256, 1, 1),
        "branch2.3": (64, 32, 3, 3),
        "branch3.0": (16, 256, 1, 1),
        "branch3.3": (16, 16, 3, 3),
        "branch3.6": (32, 16, 3, 3),
        "project": (256, 112, 1, 1),
    }


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"width": 0}, "width"),
        ({"width": 6}, "width"),
        ({"blocks": []}, "blocks"),
        ({"blocks": [1, 0]}, "blocks"),
        ({"stem": "big"}, "stem"),
    ],
    ids=str,
)
def test_options_that_make_no_network(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        InceptionResNet(10, **options)  # type: ignore[arg-type]
    assert caught.value.key == key
