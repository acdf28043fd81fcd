"""Parameters and multiply-adds of BAM's tables 3a and 3b, without and with BAM, and of torchvision's networks."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from attnbench.attention.bam import BAM, BAMModule
from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.backbones.densenet import DenseNet
from attnbench.backbones.mobilenet import MobileNet
from attnbench.backbones.squeezenet import SqueezeNet
from attnbench.backbones.vgg import VGG
from attnbench.backbones.wide_resnet import WideImageNetResNet
from attnbench.classifier import Classifier
from attnbench.cost import Cost, count

Build = Callable[[], Backbone]

# network, image, parameters; mega parameters and giga multiply-adds as printed; BAM's parameters (bam.md, section 1.4),
# mega parameters and giga multiply-adds printed with BAM
TABLES: dict[str, tuple[Build, int, int, float, float, int, float, float]] = {
    "WideResNet18 x1.5": (
        lambda: WideImageNetResNet(18, 1.5, 1000), 224, 25_875_816, 25.88, 3.87, 51_117, 25.93, 3.88,
    ),
    "WideResNet18 x2.0": (
        lambda: WideImageNetResNet(18, 2.0, 1000), 224, 45_618_216, 45.62, 6.70, 90_331, 45.71, 6.72,
    ),
    "DenseNet-BC-100 k=12": (lambda: DenseNet(100, 12, 100), 32, 800_032, 0.8, 0.29, 42_974, 0.84, 0.30),
    "MobileNet": (lambda: MobileNet(1000), 224, 4_231_976, 4.23, 0.569, 90_331, 4.32, 0.589),
    "MobileNet a=0.7": (lambda: MobileNet(1000, alpha=0.7), 224, 2_298_747, 2.30, 0.283, 43_333, 2.34, 0.292),
    # printed: 0.439 and 0.456, see INFERRED
    "MobileNet rho=192": (lambda: MobileNet(1000), 192, 4_231_976, 4.23, 0.418, 90_331, 4.32, 0.433),
    # printed: 0.290 and 0.304, see INFERRED; torchvision documents 0.349 as well
    "SqueezeNet v1.1": (lambda: SqueezeNet(1000), 224, 1_235_496, 1.24, 0.349, 21_818, 1.26, 0.362),
}  # fmt: skip

SQUEEZENET_MAPS = {"stem": 112, "stage1": 56, "stage2": 28, "stage3": 14, "classifier": 1}
MOBILENET_MAPS = {"stem": 96, "stem_block": 96, "stage1": 48, "stage2": 24, "stage3": 12, "stage4": 7, "classifier": 1}
# network, side of each part's maps, whether biases count; multiply-adds, and giga multiply-adds as printed
INFERRED: dict[str, tuple[Build, dict[str, int], bool, int, float]] = {
    "SqueezeNet v1.1": (lambda: SqueezeNet(1000), SQUEEZENET_MAPS, True, 290_072_424, 0.290),
    "MobileNet rho=192": (lambda: MobileNet(1000), MOBILENET_MAPS, False, 438_748_672, 0.439),
}
# inserted BAMs: side of the maps by channels, whether biases count; what is counted beside it, giga multiply-adds
INFERRED_WITH_BAM = {
    "SqueezeNet v1.1": ({128: 56, 256: 28}, True, 290_072_424, 0.304),
    "MobileNet rho=192": ({128: 48, 256: 24, 512: 14}, False, 438_748_672, 0.456),
}

# network, parameters and giga multiply-adds at 224 pixels as torchvision documents them
TORCHVISION: dict[str, tuple[Build, int, float]] = {
    "wide_resnet50_2": (lambda: WideImageNetResNet(50, 2, 1000), 68_883_240, 11.398),
    "wide_resnet101_2": (lambda: WideImageNetResNet(101, 2, 1000), 126_886_696, 22.753),
    "densenet121": (lambda: DenseNet(121, 32, 1000, image_size=224), 7_978_856, 2.834),
    "densenet161": (lambda: DenseNet(161, 48, 1000, image_size=224), 28_681_000, 7.728),
    "densenet169": (lambda: DenseNet(169, 32, 1000, image_size=224), 14_149_480, 3.36),
    "densenet201": (lambda: DenseNet(201, 32, 1000, image_size=224), 20_013_928, 4.291),
    "squeezenet1_1": (lambda: SqueezeNet(1000), 1_235_496, 0.349),
    "vgg11": (lambda: VGG(11, 1000), 132_863_336, 7.609),
    "vgg16": (lambda: VGG(16, 1000), 138_357_544, 15.47),
    "vgg13_bn": (lambda: VGG(13, 1000, batch_norm=True), 133_053_736, 11.308),
    "vgg16_bn": (lambda: VGG(16, 1000, batch_norm=True), 138_365_992, 15.47),
    "vgg19": (lambda: VGG(19, 1000), 143_667_240, 19.632),
}


@pytest.fixture(autouse=True)
def on_meta() -> Iterator[None]:
    with torch.device("meta"):
        yield


def cost_of(build: Build, image: int, attention: Attention | None = None) -> Cost:
    return count(Classifier(build(), attention or Attention()), 3, image)


def rounded(value: float, like: float) -> float:
    """To as many digits as were printed."""
    return round(value, max(len(f"{like}".partition(".")[2]), 2))


@pytest.mark.parametrize("name", TABLES)
def test_networks_of_bams_tables(name: str) -> None:
    build, image, parameters, mega, giga, added, mega_with, giga_with = TABLES[name]
    plain, attended = cost_of(build, image), cost_of(build, image, BAM("official"))
    assert plain.parameters == parameters
    assert rounded(plain.parameters / 1e6, mega) == mega
    assert rounded(plain.multiply_adds / 1e9, giga) == giga
    assert attended.attention_parameters == added
    assert rounded(attended.parameters / 1e6, mega_with) == mega_with
    assert rounded(attended.multiply_adds / 1e9, giga_with) == giga_with


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(name: str) -> None:
    build, parameters, giga = TORCHVISION[name]
    cost = cost_of(build, 224)
    assert cost.parameters == parameters
    assert round(cost.multiply_adds / 1e9, 3) == giga


@pytest.mark.parametrize("name", INFERRED)
def test_printed_multiply_adds_that_differ_are_those_of_other_maps(name: str) -> None:
    build, maps, biased, multiply_adds, giga = INFERRED[name]
    weights = {path: weight for path, weight in build().named_parameters() if weight.ndim > 1 or biased}
    assert sum(maps[path.partition(".")[0]] ** 2 * weight.numel() for path, weight in weights.items()) == multiply_adds
    assert round(multiply_adds / 1e9, 3) == giga


@pytest.mark.parametrize("name", INFERRED_WITH_BAM)
def test_printed_multiply_adds_with_bam_that_differ_are_those_of_other_maps(name: str) -> None:
    maps, biased, beside, giga = INFERRED_WITH_BAM[name]
    for channels, side in maps.items():
        for layer in BAMModule(channels).modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                positions = side**2 if isinstance(layer, nn.Conv2d) else 1
                counted = [layer.weight, *([layer.bias] if biased and layer.bias is not None else [])]
                beside += positions * sum(parameter.numel() for parameter in counted)
    assert round(beside / 1e9, 3) == giga
