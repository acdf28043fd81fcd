"""SimAM, GCT and coordinate attention where their authors have them: blocks against blocks that are written here.

The order of layers is that of the released networks: ZjjConan/SimAM (resnet.py and mobilenetv2.py in networks/imagenet,
networks/cifar/block.py), z-x-yang/GCT (PyTorch/resnet.py, convnet_builder.py) and houqb/CoordAttention (mbv2_ca.py).
The gates are those of references.py, by the papers' equations.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attnbench.attention import GCT, CoordinateAttention, SimAM
from attnbench.attention.base import Attention
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.base import Backbone
from attnbench.backbones.mobilenet import MobileNet
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.backbones.vgg import VGG
from attnbench.backbones.wrn import WideResNet
from attnbench.build import build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count_parameters
from tests.attention.baselines import references
from tests.attention.parity.layers import Layers

Gate = Callable[["Released", Tensor, str], Tensor]


class Released(Layers):
    """Layers of a block; a convolution has the method's gate before or behind it, as the released code has."""

    def __init__(self, block: nn.Module, before: Gate | None = None, behind: Gate | None = None) -> None:
        super().__init__({**dict(block.named_parameters()), **dict(block.named_buffers())})
        self.before, self.behind = before, behind

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        x = self.convolve(self.before(self, x, name) if self.before else x, name, stride)
        return self.behind(self, x, name) if self.behind else x

    def within(self, prefix: str) -> Layers:
        """Return the layers of a module of the block."""
        return Layers({name.removeprefix(prefix): x for name, x in self.values.items() if name.startswith(prefix)})


def gct_before_all(layers: Released, x: Tensor, name: str) -> Tensor:
    return references.gct(layers.within(f"{name}.before.gct."), x)


def simam_behind(*names: str) -> Gate:
    return lambda layers, x, name: references.simam(layers, x) if name in names else x


def coordinate_before(*names: str) -> Gate:
    def gate(layers: Released, x: Tensor, name: str) -> Tensor:
        return references.coordinate(layers.within(f"{name}.before.coordinate."), x) if name in names else x

    return gate


def basic(layers: Released, x: Tensor, stride: int) -> Tensor:
    y = layers.norm_relu(layers.conv(x, "conv1", stride), "bn1")
    y = layers.norm(layers.conv(y, "conv2"), "bn2")
    return (y + shortcut(layers, x, stride)).clamp_min(0)


def bottleneck(layers: Released, x: Tensor, stride: int) -> Tensor:
    y = layers.norm_relu(layers.conv(x, "conv1"), "bn1")
    y = layers.norm_relu(layers.conv(y, "conv2", stride), "bn2")
    y = layers.norm(layers.conv(y, "conv3"), "bn3")
    return (y + shortcut(layers, x, stride)).clamp_min(0)


def shortcut(layers: Released, x: Tensor, stride: int) -> Tensor:
    if "shortcut.0.weight" not in layers.values:
        return x
    return layers.norm(layers.conv(x, "shortcut.0", stride), "shortcut.1")


def preact_basic(layers: Released, x: Tensor, stride: int) -> Tensor:
    pre = layers.norm_relu(x, "bn1")
    y = layers.norm_relu(layers.conv(pre, "conv1", stride), "bn2")
    y = layers.conv(y, "conv2")
    return y + (layers.conv(pre, "shortcut", stride) if "shortcut.weight" in layers.values else x)


def preact_bottleneck(layers: Released, x: Tensor, stride: int) -> Tensor:
    pre = layers.norm_relu(x, "bn1")
    y = layers.norm_relu(layers.conv(pre, "conv1"), "bn2")
    y = layers.norm_relu(layers.conv(y, "conv2", stride), "bn3")
    y = layers.conv(y, "conv3")
    return y + (layers.conv(pre, "shortcut", stride) if "shortcut.weight" in layers.values else x)


def separable(layers: Released, x: Tensor, stride: int) -> Tensor:
    y = layers.norm_relu(layers.conv(x, "depthwise", stride), "bn1")
    return layers.norm_relu(layers.conv(y, "pointwise"), "bn2")


def vgg(layers: Released, x: Tensor, stride: int) -> Tensor:
    return layers.norm_relu(layers.conv(x, "conv"), "bn")


def inverted(layers: Released, x: Tensor, stride: int) -> Tensor:
    """MobileNetV2's block, which expands, as torchvision names it."""

    def norm_relu6(y: Tensor, name: str) -> Tensor:
        return layers.norm(y, name).clamp(0, 6)

    y = norm_relu6(layers.conv(x, "conv.0.0"), "conv.0.1")
    y = norm_relu6(layers.conv(y, "conv.1.0", stride), "conv.1.1")
    y = layers.norm(layers.conv(y, "conv.2"), "conv.3")
    return x + y if stride == 1 and x.shape == y.shape else y


Make = Callable[[], Backbone]
Block = Callable[[Released, Tensor, int], Tensor]
NETWORKS: dict[str, tuple[Make, Block, dict[str, int]]] = {
    "basic": (lambda: ResNet(14, 7, width=4, shortcut="projection"), basic, {"stage2.block0": 2, "stage2.block1": 1}),
    "bottleneck": (
        lambda: ResNet(20, 7, width=4, block="bottleneck"),
        bottleneck,
        {"stage2.block0": 2, "stage2.block1": 1},
    ),
    "resnext": (lambda: ResNeXt(20, 2, 2, 7, width=4), bottleneck, {"stage2.block0": 2}),
    "preact basic": (lambda: PreActResNet(14, 7, width=4), preact_basic, {"stage2.block0": 2, "stage2.block1": 1}),
    "preact bottleneck": (
        lambda: PreActResNet(20, 7, width=4, block="bottleneck"),
        preact_bottleneck,
        {"stage2.block0": 2, "stage2.block1": 1},
    ),
    "wrn": (lambda: WideResNet(16, 2, 7, stem_width=4), preact_basic, {"stage1.block0": 1, "stage2.block0": 2}),
    "mobilenet": (lambda: MobileNet(7, alpha=0.25), separable, {"stage1.block0": 2, "stage1.block1": 1}),
    "vgg": (lambda: VGG(11, 7, width=4, batch_norm=True), vgg, {"stage1.block0": 1, "stage3.block1": 1}),
    "mobilenet_v2": (
        lambda: TorchvisionBackbone("mobilenet_v2", 7, 3, 64),
        inverted,
        {"net.features.2": 2, "net.features.3": 1},
    ),
}
CASES = [
    *(("simam", network) for network in NETWORKS if network != "vgg"),
    *(("gct", network) for network in NETWORKS),
    *(("coordinate", network) for network in ("mobilenet", "mobilenet_v2")),
]
MAKE: dict[str, Callable[[], Attention]] = {"simam": SimAM, "gct": GCT, "coordinate": CoordinateAttention}
GATES: dict[str, dict[str, Gate]] = {
    "simam": {"behind": simam_behind("conv2", "depthwise", "conv.1.0")},
    "gct": {"before": gct_before_all},
    "coordinate": {"before": coordinate_before("pointwise", "conv.2")},
}


def randomised(net: nn.Module) -> nn.Module:
    """Give all vectors random values around 1, in double precision, so that no gate or norm does nothing."""
    for tensor in net.double().state_dict().values():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.copy_(torch.rand(tensor.shape, dtype=torch.float64) + 0.5)
    return net.eval()


@pytest.mark.parametrize(("attention", "network"), CASES)
def test_a_blocks_layers_come_in_the_released_order(attention: str, network: str) -> None:
    torch.manual_seed(0)
    make, reference, blocks = NETWORKS[network]
    backbone = randomised(Classifier(make(), MAKE[attention]()).backbone)
    for path, stride in blocks.items():
        block = backbone.get_submodule(path)
        channels = next(layer.in_channels for layer in block.modules() if isinstance(layer, nn.Conv2d))
        x = torch.randn(2, channels, 9, 7, dtype=torch.float64)
        expected = reference(Released(block, **GATES[attention]), x.clone(), stride)
        torch.testing.assert_close(block(x.clone()), expected, rtol=1e-9, atol=1e-9)
        assert not torch.allclose(reference(Released(block), x, stride), expected)


def test_mobilenets_first_block_which_nothing_widens_has_no_coordinate_attention() -> None:
    native = Classifier(MobileNet(7, alpha=0.25), CoordinateAttention())
    assert not [path for path in native.inserted_paths if "stem_block" in path]
    library = Classifier(TorchvisionBackbone("mobilenet_v2", 7, 3, 64), CoordinateAttention())
    assert len(library.inserted_paths) == 16
    assert not [path for path in library.inserted_paths if "features.1." in path]


@pytest.mark.parametrize("attention", ["simam", "gct"])
def test_ours_and_torchvisions_resnet_are_one_network(attention: str) -> None:
    torch.manual_seed(0)
    ours = Classifier(ResNet(18, 10, image_size=64, stem="imagenet"), MAKE[attention]())
    library = Classifier(TorchvisionBackbone("resnet18", 10, 3, 64), MAKE[attention]())
    randomised(library)
    state = {name.removeprefix("net."): value for name, value in library.backbone.state_dict().items()}
    randomised(ours)
    ours.backbone.load_state_dict(ours.backbone.own_names(state))
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(ours(images), library(images), rtol=1e-9, atol=1e-9)


def parameters(*words: str) -> int:
    return count_parameters(build_model_on_meta(compose([*words, "data=imagenet"])))


def test_gct_adds_three_numbers_for_each_channel_that_a_convolution_reads() -> None:
    plain, gct = (parameters("backbone=resnet50", f"attention={name}") for name in ("none", "gct"))
    stages = ((64, 64, 256), (256, 128, 512), (512, 256, 1024), (1024, 512, 2048))
    read = 3  # the image
    for (before, width, channels), count in zip(stages, (3, 4, 6, 3), strict=True):
        read += 2 * before + (count - 1) * channels + 2 * count * width  # the shortcut reads what the first one does
    assert gct - plain == 3 * read == 67_593


def test_mobilenet_v2_with_coordinate_attention_has_the_released_parameters() -> None:
    """3.95 M with and 3.5 M without, by the table in the README of houqb/CoordAttention."""
    plain, coordinate = (
        parameters("backbone=torchvision/mobilenet_v2", f"attention={name}") for name in ("none", "coordinate")
    )
    assert (round(plain / 1e6, 1), round(coordinate / 1e6, 2)) == (3.5, 3.95)


@pytest.mark.parametrize(
    ("backbone", "millions"),
    [
        ("resnet18", 11.69),
        ("resnet34", 21.80),
        ("resnet50", 25.56),
        ("resnet101", 44.55),
        ("resnext50_32x4d", 25.03),
        ("torchvision/mobilenet_v2", 3.50),
    ],
)
def test_simam_adds_nothing(backbone: str, millions: float) -> None:
    """The README of ZjjConan/SimAM prints these numbers."""
    assert round(parameters(f"backbone={backbone}", "attention=simam") / 1e6, 2) == millions


@pytest.mark.parametrize("attention", ["simam", "gct", "coordinate"])
def test_runs_of_other_places_have_other_identities(attention: str) -> None:
    identity = compose(["data=cifar10", f"attention={attention}"]).identity
    assert identity["attention._revision_"] == 2
    assert identity["attention.placement"] == "auto"
