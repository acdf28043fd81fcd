"""Classifiers of torchvision, by torchvision's names.

Their forward passes are chains of modules; the table `FAMILIES` repeats them by class, up to the final map, and from
there to logits. Auxiliary heads (googlenet, inception_v3) are switched off: a backbone has one prediction. So is the
stochastic depth that EfficientNet, ConvNeXt and Swin are built with; `drop_paths` sets it for every network alike.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import convnext, efficientnet, mobilenetv2, mobilenetv3, regnet, resnet
from torchvision.ops import StochasticDepth

from attnbench.backbones.adapters.base import LibraryBackbone, replace_first_convolution
from attnbench.backbones.base import rising_rates
from attnbench.backbones.convolutions import Role
from attnbench.backbones.slot_calls import to_first
from attnbench.errors import OptionError, nearest

Step = str | Callable[[Tensor], Tensor]


def flatten(x: Tensor) -> Tensor:
    """Reshape (B, C, 1, 1) to (B, C)."""
    return torch.flatten(x, 1)


def average(x: Tensor) -> Tensor:
    """Average (B, C, H, W) over positions to (B, C)."""
    return x.mean((2, 3))


def pool(x: Tensor) -> Tensor:
    """Average as `average` does, by the function that some networks call."""
    return flatten(F.adaptive_avg_pool2d(x, (1, 1)))


class Family(NamedTuple):
    """The forward pass of a class of networks: names of its children and methods, or functions."""

    trunk: tuple[Step, ...]
    head: tuple[Step, ...]


FEATURES: tuple[Step, ...] = ("features",)
GOOGLENET = "_transform_input conv1 maxpool1 conv2 conv3 maxpool2 inception3a inception3b maxpool3 inception4a \
inception4b inception4c inception4d inception4e maxpool4 inception5a inception5b"
INCEPTION = "_transform_input Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2 \
Mixed_5b Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c"
FAMILIES = {
    "ResNet": Family(
        ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"), ("avgpool", flatten, "fc")
    ),
    "RegNet": Family(("stem", "trunk_output"), ("avgpool", flatten, "fc")),
    "ShuffleNetV2": Family(("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"), (average, "fc")),
    "DenseNet": Family(("features", F.relu), (pool, "classifier")),
    "AlexNet": Family(FEATURES, ("avgpool", flatten, "classifier")),
    "VGG": Family(FEATURES, ("avgpool", flatten, "classifier")),
    "MobileNetV2": Family(FEATURES, (pool, "classifier")),
    "MobileNetV3": Family(FEATURES, ("avgpool", flatten, "classifier")),
    "EfficientNet": Family(FEATURES, ("avgpool", flatten, "classifier")),
    "ConvNeXt": Family(FEATURES, ("avgpool", "classifier")),
    "SqueezeNet": Family(FEATURES, ("classifier", flatten)),
    "MNASNet": Family(("layers",), (average, "classifier")),
    "GoogLeNet": Family(tuple(GOOGLENET.split()), ("avgpool", flatten, "dropout", "fc")),
    "Inception3": Family(tuple(INCEPTION.split()), ("avgpool", "dropout", flatten, "fc")),
    "SwinTransformer": Family(("features", "norm"), (to_first, "avgpool", "flatten", "head")),
}
UNKNOWN = {"VisionTransformer": "it works on tokens, where attention needs maps (B, C, H, W)"}
OTHER = f"its forward pass is none of {', '.join(FAMILIES)}'s"
CHAINS = ("features", "layers", "trunk_output")
"""Children in which each step may end a stage."""
BLOCKS: Mapping[type[nn.Module], str] = {
    resnet.BasicBlock: "bn2",
    resnet.Bottleneck: "bn3",
    regnet.ResBottleneckBlock: "f",
    mobilenetv2.InvertedResidual: "conv",
    mobilenetv3.InvertedResidual: "block",
    efficientnet.MBConv: "stochastic_depth",
    efficientnet.FusedMBConv: "stochastic_depth",
    convnext.CNBlock: "stochastic_depth",
}
"""Classes of residual blocks, and the child of each whose output is added to the shortcut."""
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
"""Names in torchvision's files for DenseNet, which torchvision renames too when it loads them."""


class TorchvisionBackbone(LibraryBackbone):
    """A classifier of torchvision, such as `resnet50`, `vgg16_bn`, `convnext_tiny`."""

    library = "torchvision"
    unused = ("net.aux1.", "net.aux2.", "net.AuxLogits.")

    def build(self) -> nn.Module:
        names = torchvision.models.list_models(module=torchvision.models)
        if self.name not in names:
            raise OptionError("name", self.name, f"torchvision has no such classifier{nearest(self.name, names)}")
        one_head = {"aux_logits": False, "init_weights": True} if self.name in ("googlenet", "inception_v3") else {}
        net: nn.Module = torchvision.models.get_model(self.name, num_classes=self.num_classes, **one_head)
        kind = type(net).__name__
        if kind not in FAMILIES:
            raise OptionError("name", self.name, f"cannot be a backbone: {UNKNOWN.get(kind, OTHER)}")
        if self.in_channels != 3:
            replace_first_convolution(net, self.in_channels)
        for drop in own_drops(net):
            drop.p = 0.0
        self.channels_last = kind == "SwinTransformer"
        return net

    def trunk_of(self, net: nn.Module, x: Tensor) -> Tensor:
        return run(net, FAMILIES[_kind(net)].trunk, x)

    def head_of(self, net: nn.Module, x: Tensor) -> Tensor:
        return run(net, FAMILIES[_kind(net)].head, x)

    def stage_ends(self, net: nn.Module) -> list[str]:
        names = [step for step in FAMILIES[_kind(net)].trunk if isinstance(step, str) and step[0] != "_"]
        chains = {name: [f"{name}.{child}" for child, _ in net.get_submodule(name).named_children()] for name in names}
        return [path for name in names for path in (chains[name] if name in CHAINS else [name])]

    def block_classes(self) -> Mapping[type[nn.Module], Any]:
        return BLOCKS

    def residual_of(self, block: nn.Module) -> nn.Module | None:
        if not getattr(block, "use_res_connect", True):
            return None
        return block.get_submodule(BLOCKS[type(block)])

    def roles_of(self, block: nn.Module) -> Mapping[Role, str]:
        if isinstance(block, resnet.BasicBlock | resnet.Bottleneck):
            return {"spatial": "conv2"}
        if isinstance(block, mobilenetv2.InvertedResidual):  # convolution-BN-ReLU6 once or twice, convolution, BN
            expands = len(block.conv) == 4
            return {"spatial": "conv.1.0", "projection": "conv.2"} if expands else {"spatial": "conv.0.0"}
        return {}

    def drop_paths(self, rate: float) -> None:
        drops = own_drops(self.net)
        if not drops or self.match("stage*.block*.residual"):
            super().drop_paths(rate)
            return
        for drop, own in zip(drops, rising_rates(rate, len(drops)), strict=True):  # of Swin
            drop.p = own

    def check_weights_source(self, source: str | None) -> None:
        if source == "default" and hasattr(self.net, "transform_input"):
            # as torchvision does: these weights were trained on images in [-1, 1]
            cast(Any, self.net).transform_input = True

    def default_weights(self) -> str:
        return str(torchvision.models.get_model_weights(self.name).DEFAULT)

    def fetch_default_weights(self) -> Mapping[str, Tensor]:
        return torchvision.models.get_model_weights(self.name).DEFAULT.get_state_dict(progress=False, check_hash=True)

    def own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        renamed = {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
        return super().own_names(renamed)


def own_drops(net: nn.Module) -> list[StochasticDepth]:
    """Return the modules of a network that drop residual branches, in forward order."""
    return [module for module in net.modules() if isinstance(module, StochasticDepth)]


def _kind(net: nn.Module) -> str:
    return type(net).__name__


def run(net: nn.Module, steps: tuple[Step, ...], x: Tensor) -> Tensor:
    """Run the steps of a network, one after the other."""
    for step in steps:
        x = getattr(net, step)(x) if isinstance(step, str) else step(x)
    return x
