"""SE against its equations, BAM's counts and timm."""

import pytest
import torch

from attnbench.attention.se import SE, SEModule
from attnbench.build import build_model, build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import count
from attnbench.errors import OptionError, UserError
from tests.attention.timm_parity import assert_same_as_timm, make_timm

# BAM, table 5, in millions; derived exactly, as printed to two decimals
TABLE_5 = [
    ("backbone=resnet50", 26.236, 26.24),
    ("backbone=preact_resnet164", 1.928, 1.93),
    ("backbone=wrn28_8", 23.577, 23.58),
]
PLACES = [(stage, block) for stage in (1, 2, 3) for block in range(3)]


@pytest.mark.parametrize(("backbone", "derived", "printed"), TABLE_5)
def test_parameters_with_se_are_those_of_bams_table(backbone: str, derived: float, printed: float) -> None:
    config = compose([backbone, "attention=se", "data=cifar100"])
    millions = count(build_model_on_meta(config), 3, 32).parameters / 1e6
    assert millions == pytest.approx(derived, abs=5e-4)
    assert millions == pytest.approx(printed, abs=6e-3)


def test_every_residual_block_has_two_layers_with_biases() -> None:
    net = build_model(compose(["attention=se", "data=cifar10"]))
    inserted = [net.backbone.get_submodule(f"stage{stage}.block{block}.residual.se") for stage, block in PLACES]
    for module, channels in zip(inserted, [16] * 3 + [32] * 3 + [64] * 3, strict=True):
        hidden = channels // 16
        expected = {(hidden, channels, 1, 1), (hidden,), (channels, hidden, 1, 1), (channels,)}
        assert {tuple(parameter.shape) for parameter in module.parameters()} == expected


def test_channels_are_scaled_by_a_gate_of_their_means() -> None:
    module, x = SEModule(16, reduction=4), torch.randn(2, 16, 5, 7)
    weights, biases = ([p for p in module.parameters() if p.ndim == ndim] for ndim in (4, 1))
    for image, refined in zip(x, module(x), strict=True):
        mean = torch.stack([channel.mean() for channel in image])
        hidden = (weights[0][:, :, 0, 0] @ mean + biases[0]).clamp(min=0)
        gate = 1 / (1 + torch.exp(-(weights[1][:, :, 0, 0] @ hidden + biases[1])))
        torch.testing.assert_close(refined, torch.stack([g * c for g, c in zip(gate, image, strict=True)]))


@pytest.mark.parametrize(("channels", "reduction"), [(16, 16), (24, 16), (64, 4), (100, 7)])
def test_parity_with_timm(channels: int, reduction: int) -> None:
    torch.manual_seed(1)
    ours = SEModule(channels, reduction)
    torch.manual_seed(1)
    assert_same_as_timm(ours, make_timm("se", channels, reduction), channels)


def test_the_module_works_with_the_papers_defaults() -> None:
    assert SEModule(256)(torch.randn(2, 256, 14, 14)).shape == (2, 256, 14, 14)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("attention=se", "attention.reduction=0"), "attention.reduction=0: must be at least 1"),
        (("attention=se", "attention.reduction=32"), "leaves none of the 16 channels"),
    ],
)
def test_invalid_reductions_are_rejected(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        build_model_on_meta(compose(words))
    with pytest.raises(OptionError, match="must be at least 1"):
        SE(reduction=0)
