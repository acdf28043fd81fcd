"""Parameters and multiply-adds against the papers' columns, exactly where exact numbers are known."""

from collections.abc import Iterator

import pytest
import torch

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention
from attnbench.attention.se import SE
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import StrideIn
from attnbench.backbones.preact_resnet import PreActResNet, ShortcutInput
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier
from attnbench.cost import Cost, count, count_parameters

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


RESNEXT = [
    # depth, cardinality, base width, image, parameters; giga multiply-adds with the stride in the 1x1 and in the 3x3
    # convolution (bam.md 1.5; at 224 pixels BAM's table 3b, and torchvision's)
    (29, 8, 64, 32, 34_518_948, 4.985, 5.387),
    (29, 16, 64, 32, 68_247_460, 9.884, 10.689),
    (50, 32, 4, 224, 25_028_904, 3.768, 4.230),
    (101, 32, 4, 224, 44_177_704, 7.508, 7.970),
]

RESNEXT_WITH_ATTENTION = [
    # network, attention, parameters added; mega parameters and giga multiply-adds as BAM's tables 3 and 5 print them
    ((29, 8, 64), "bam", 85_874, 34.61, 5.00),
    ((29, 16, 64), "bam", 85_874, 68.34, 9.90),
    ((29, 16, 64), "se", 521_808, 68.77, 9.88),  # printed: 68.81
    ((50, 32, 4), "bam", 358_067, 25.39, 3.85),
]


def cost_of(backbone: Backbone, image: int, attention: Attention | None = None) -> Cost:
    return count(Classifier(backbone, attention or Attention()), 3, image)


@pytest.fixture(autouse=True)
def on_meta() -> Iterator[None]:
    with torch.device("meta"):
        yield


@pytest.mark.parametrize(("network", "parameters"), RESNET_PARAMETERS.items())
def test_resnet_parameters(network: tuple[int, int, int], parameters: int) -> None:
    depth, classes, image = network
    assert count_parameters(ResNet(depth, classes, image_size=image)) == parameters


@pytest.mark.parametrize(("depth", "image", "stride_in", "giga"), MULTIPLY_ADDS)
def test_resnet_multiply_adds(depth: int, image: int, stride_in: StrideIn, giga: float) -> None:
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
    inputs: tuple[ShortcutInput, ...] = ("preactivation", "raw")
    for shortcut_input in inputs[: 1 if depth == 1001 else 2]:
        network = PreActResNet(depth, classes, shortcut_input=shortcut_input)
        assert count_parameters(network) == parameters


@pytest.mark.parametrize(
    ("depth", "classes", "stride_in", "multiply_adds"),
    [
        (164, 10, "1x1", 244_500_992),  # the authors' code
        (164, 10, "3x3", 247_646_720),
        (164, 100, "1x1", 244_524_032),  # BAM's PreResNet110: 0.245 G
        (164, 100, "3x3", 247_669_760),
        pytest.param(1001, 10, "1x1", 1_487_849_984, marks=pytest.mark.slow),
        pytest.param(1001, 10, "3x3", 1_490_995_712, marks=pytest.mark.slow),
    ],
)
def test_preact_resnet_multiply_adds(depth: int, classes: int, stride_in: StrideIn, multiply_adds: int) -> None:
    assert cost_of(PreActResNet(depth, classes, stride_in=stride_in), 32).multiply_adds == multiply_adds


def test_preact_resnet200_strides_in_the_3x3_as_its_printed_multiply_adds_show() -> None:
    """Residual Attention, table 7: 64.7 M parameters, 15.0 G multiply-adds; with the stride in the 1x1, 14.8."""
    network = PreActResNet(200, 1000, width=64, blocks=[3, 24, 36, 3], image_size=224)
    cost = cost_of(network, 224)
    assert (cost.parameters, cost.multiply_adds) == (64_666_280, 15_007_481_856)


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


@pytest.mark.parametrize(("depth", "cardinality", "base_width", "image", "parameters", "caffe", "torch_"), RESNEXT)
def test_resnexts(
    depth: int, cardinality: int, base_width: int, image: int, parameters: int, caffe: float, torch_: float
) -> None:
    columns: tuple[tuple[StrideIn, float], ...] = (("1x1", caffe), ("3x3", torch_))
    for stride_in, giga in columns:
        classes = 100 if image == 32 else 1000
        net = ResNeXt(depth, cardinality, base_width, classes, image_size=image, stride_in=stride_in)
        cost = cost_of(net, image)
        assert cost.parameters == parameters
        assert round(cost.multiply_adds / 1e9, 3) == giga


@pytest.mark.parametrize(("network", "attention", "added", "mega", "giga"), RESNEXT_WITH_ATTENTION, ids=str)
def test_resnexts_with_attention(
    network: tuple[int, int, int], attention: str, added: int, mega: float, giga: float
) -> None:
    """BAM's tables round the network and what is added to it one by one."""
    classes, image = (100, 32) if network[0] == 29 else (1000, 224)
    net = ResNeXt(*network, classes, image_size=image, stride_in="1x1")
    cost = cost_of(net, image, BAM("official") if attention == "bam" else SE())
    assert cost.attention_parameters == added
    assert round(round((cost.parameters - added) / 1e6, 2) + round(added / 1e6, 2), 2) == mega
    assert round(cost.multiply_adds / 1e9, 2) == giga
