"""Parameters and multiply-adds of gated attention against the papers."""

import pytest
import torch

from attnbench.attention.base import Attention
from attnbench.attention.gated import Gated
from attnbench.attention.gated_heads import (
    Form,
    Kernel,
)
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier
from attnbench.cost import count, count_parameters
from tests.attention.gated.networks import attention, digits_network


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


def test_gates_under_a_mask_add_one_map() -> None:
    """The mask has k² C weights; the scores have k² C N in place of C N."""
    with torch.device("meta"):
        pooled, masked = (
            count(Classifier(WideResNet(10, 1, 10), Gated(kernel=3, gate_input=kind)), 3, 32)
            for kind in ("pooled", "masked")
        )
    assert masked.attention_parameters - pooled.attention_parameters == 9 * 64 * (4 + 1) - 64 * 4
    assert masked.multiply_adds - pooled.multiply_adds == 9 * 64 * (4 + 1) * 8 * 8 - 64 * 4
