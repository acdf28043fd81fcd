"""Small networks with gated attention, for its tests."""

from typing import Any

import torch
from torch import Tensor

from attnbench.attention.base import Output
from attnbench.attention.gated import Gated
from attnbench.backbones.base import Backbone
from attnbench.backbones.cluttered_mnist_cnn import ClutteredMNISTCNN
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier

CLASSES = 5


CASES: dict[str, dict[str, Any]] = {
    "paper": {},
    "official": {"variant": "official"},
    "own": {"variant": "official", "tap": "own"},
    "sigmoid": {"mask": "sigmoid", "global_gates": "sigmoid"},
    "heads": {"head_gates": False, "width": 2, "gate_norm": True},
    "average": {"global_gates": "none", "kernel": 3},
    "average heads": {"global_gates": "none", "head_gates": False, "variant": "official", "width": 2},
    "half": {"net_output": "half", "combine": "logits"},
    "half logs": {"net_output": "half", "variant": "official", "global_gates": "none"},
    "alone": {"net_output": "none", "combine": "log_probabilities"},
    "shallow": {"deepest": "before_last", "depth": 2, "combine": "logits", "global_gates": "sigmoid"},
    "one": {"depth": 1, "width": 1},
}


def backbone(kind: str = "wrn") -> Backbone:
    if kind == "wrn":
        return WideResNet(10, 1, CLASSES, stem_width=4)
    if kind == "digits":
        return ClutteredMNISTCNN(CLASSES)
    if kind == "preact":
        return PreActResNet(11, CLASSES, width=2, block="bottleneck")
    if kind == "resnext":
        return ResNeXt(11, 2, 2, CLASSES, width=4)
    return ResNet(int(kind), CLASSES, width=4)


def build(kind: str = "wrn", **options: Any) -> Classifier:
    torch.manual_seed(0)
    return Classifier(backbone(kind), Gated(**options))


def randomised(net: Classifier) -> Classifier:
    """The network in double precision with running statistics and affine parameters that do something."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in net.double().state_dict().items():
        if tensor.is_floating_point() and (tensor.ndim == 1 or "running" in name):
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
    return net.eval()


def images(batch: int = 2, height: int = 6, width: int = 7, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(2))


def attention(net: Classifier) -> Gated:
    assert isinstance(net.attention, Gated)
    return net.attention


def total(net: Classifier, output: Output, target: Tensor | None = None) -> Tensor:
    target = torch.arange(len(output.logits)) % CLASSES if target is None else target
    return torch.stack(list(net.losses(output, target).values())).sum()


def digits_network(**options: Any) -> Classifier:
    """Gated attention on the digits network, as released, at four levels."""
    return Classifier(ClutteredMNISTCNN(10), Gated(**{"variant": "official", "depth": 4, **options}))
