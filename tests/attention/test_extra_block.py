"""One more block at every bottleneck: BAM's table 1c."""

import pytest
import torch

from attnbench.build import build_model, build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import count, count_parameters


def bottleneck(channels: int) -> int:
    """Parameters of a bottleneck block with an identity shortcut: 1x1, 3x3, 1x1 and three batch normalisations."""
    width = channels // 4
    return 2 * channels * width + 9 * width**2 + 2 * (2 * width + channels)


def preactivated(channels: int) -> int:
    """Parameters of a pre-activation basic block: two 3x3 convolutions and two batch normalisations."""
    return 18 * channels**2 + 4 * channels


@pytest.mark.parametrize(
    ("backbone", "added", "printed"),
    [
        ("resnet50", sum(map(bottleneck, (256, 512, 1024))), 25.14 - 23.68),
        ("resnext29_8x64d", 2_792_960, 37.3 - 34.52),
        ("wrn28_8", sum(map(preactivated, (128, 256))), 24.88 - 23.4),
    ],
)
def test_parameters_of_table_1c(backbone: str, added: int, printed: float) -> None:
    config = compose([f"backbone={backbone}", "attention=extra_block", "data=cifar100"])
    cost = count(build_model_on_meta(config), 3, 32)
    assert cost.attention_parameters == added
    assert added / 1e6 == pytest.approx(printed, abs=0.015)  # the paper prints hundredths of a million, or tenths


def test_it_is_a_block_of_the_same_kind_that_learns() -> None:
    torch.manual_seed(0)
    net = build_model(compose(["backbone=resnet20", "attention=extra_block", "data=cifar10"]))
    extra = net.backbone.get_submodule("stage1.out.extra_block")
    assert type(extra) is type(net.backbone.get_submodule("stage1.block1"))
    assert count_parameters(extra) == count_parameters(net.backbone.get_submodule("stage1.block1"))
    output = net.output(torch.randn(2, 3, 32, 32))
    net.losses(output, torch.tensor([0, 1]))["cross_entropy"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in extra.parameters())
    assert net.maps(output) == {}
