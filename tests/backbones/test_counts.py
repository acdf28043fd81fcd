"""Parameters and multiply-adds against the papers' columns, exactly where exact numbers are known."""

from collections.abc import Iterator

import pytest
import torch

from attnbench.attention.base import Attention
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.wrn import WideResNet
from attnbench.cost import Cost, count, count_parameters
from attnbench.model import Classifier

RESNET_PARAMETERS = {
    # CIFAR-100, what BAM's table 3a rounds to (bam.md, sections 1.5 and 1.6)
    (18, 100, 32): 11_220_132,
    (34, 100, 32): 21_328_292,
    (50, 100, 32): 23_705_252,
    (101, 100, 32): 42_697_380,
    # ImageNet
    (18, 1000, 224): 11_689_512,
    (50, 1000, 224): 25_557_032,
    (101, 1000, 224): 44_549_160,
    # CIFAR-10 with zero-padded shortcuts (He et al., table 6: 0.27 M to 1.7 M)
    (20, 10, 32): 269_722,
    (32, 10, 32): 464_154,
    (44, 10, 32): 658_586,
    (56, 10, 32): 853_018,
    (110, 10, 32): 1_727_962,
}

MULTIPLY_ADDS = [
    # depth, image, stride position, giga multiply-adds as bam.md 1.5 gives them
    (50, 32, "1x1", 1.223),
    (50, 32, "3x3", 1.298),
    (101, 32, "1x1", 2.435),
    (101, 32, "3x3", 2.510),
    (50, 224, "1x1", 3.858),
    (50, 224, "3x3", 4.089),
    (101, 224, "1x1", 7.570),
    (101, 224, "3x3", 7.801),
]


def cost_of(backbone: torch.nn.Module, image: int) -> Cost:
    return count(Classifier(backbone, Attention()), 3, image)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def on_meta() -> Iterator[None]:
    with torch.device("meta"):
        yield


@pytest.mark.parametrize(("network", "parameters"), RESNET_PARAMETERS.items())
def test_resnet_parameters(network: tuple[int, int, int], parameters: int) -> None:
    depth, classes, image = network
    assert count_parameters(ResNet(depth, classes, image_size=image)) == parameters


@pytest.mark.parametrize(("depth", "image", "stride_in", "giga"), MULTIPLY_ADDS)
def test_resnet_multiply_adds(depth: int, image: int, stride_in: str, giga: float) -> None:
    classes = 100 if image == 32 else 1000
    cost = cost_of(ResNet(depth, classes, image_size=image, stride_in=stride_in), image)
    assert round(cost.multiply_adds / 1e9, 3) == pytest.approx(giga, abs=0.0011)


@pytest.mark.parametrize(
    ("depth", "classes", "parameters"),
    [
        (110, 100, 1_736_372),  # basic blocks: the true one
        (164, 100, 1_726_388),  # bottlenecks: what BAM's tables call PreResNet110
        (164, 10, 1_703_258),  # Residual Attention, table 6: 1.7 M
        (1001, 10, 10_327_706),  # table 6: 10.3 M
    ],
)
def test_preact_resnet_parameters(depth: int, classes: int, parameters: int) -> None:
    for shortcut_input in ("preactivation", "raw")[: 1 if depth == 1001 else 2]:
        network = PreActResNet(depth, classes, shortcut_input=shortcut_input)
        assert count_parameters(network) == parameters


@pytest.mark.parametrize(("stride_in", "giga"), [("1x1", 0.2445), ("3x3", 0.2477)])
def test_preact_resnet_multiply_adds(stride_in: str, giga: float) -> None:
    cost = cost_of(PreActResNet(164, 100, stride_in=stride_in), 32)
    assert cost.multiply_adds / 1e9 == pytest.approx(giga, abs=0.00005)


@pytest.mark.parametrize(
    ("depth", "width", "classes", "parameters", "giga"),
    [
        (28, 8, 100, 23_401_012, 3.36),
        (28, 10, 100, 36_536_884, 5.24),
        (28, 10, 10, 36_479_194, 5.243),
        (40, 10, 10, 55_841_754, 8.074),
        (28, 4, 10, 5_849_050, 0.846),
        (40, 4, 10, 8_949_210, 1.299),
        (16, 8, 10, 10_961_370, None),  # Residual Attention, table 6: 11.0 M
    ],
)
def test_wide_resnets(depth: int, width: int, classes: int, parameters: int, giga: float | None) -> None:
    cost = cost_of(WideResNet(depth, width, classes), 32)
    assert cost.parameters == parameters
    if giga is not None:
        digits = len(str(giga).partition(".")[2])
        assert round(cost.multiply_adds / 1e9, digits) == giga
