"""Small networks with residual attention, for its tests."""

import torch

from attnbench.attention.residual import ResidualAttention
from attnbench.attention.residual_modules import ResidualAttentionModule
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.classifier import Classifier


def attention(**options: object) -> ResidualAttention:
    return ResidualAttention(**options)  # type: ignore[arg-type]


def cifar(width: int = 2, **options: object) -> Classifier:
    """The CIFAR network: 8, 16 and 32 channels, unless wider."""
    torch.manual_seed(0)
    return Classifier(PreActResNet(20, 10, width=width, block="bottleneck"), attention(**options))


def module(width: int = 2, depth: int = 3, **options: object) -> ResidualAttentionModule:
    """One module of 4 * width channels."""
    net = cifar(width, mask_depth=[depth], **options)
    found = net.backbone.get_submodule("stage1.out.residual0")
    assert isinstance(found, ResidualAttentionModule)
    return found


def randomised(found: ResidualAttentionModule) -> ResidualAttentionModule:
    """The module in double precision with nothing left at its initial value."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in found.double().state_dict().items():
        if tensor.is_floating_point():
            positive = name.endswith("running_var") or (".bn" in name and name.endswith("weight"))
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(noise.abs() + 0.5 if positive else 0.4 * noise)
    return found.eval()
