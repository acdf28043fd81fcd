"""Small networks and features with GGAM, for its tests."""

from typing import Any

import torch
from torch import Tensor

from attnbench.attention.ggam import GGAM
from attnbench.backbones.base import Features
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier

CLASSES = 5


CHANNELS = 12


LABELS = torch.tensor([3, 0, 4])


SMALL = {"reduction": 3, "head_width": 7}


LINEAR = {"reduction": 3, "head": "linear"}


def ggam(**options: Any) -> GGAM:
    """A GGAM behind 12 channels, in double precision, with nothing left at its initial value."""
    found = GGAM(**{**(LINEAR if options.get("head") == "linear" else SMALL), **options})
    found.attach(ResNet(8, CLASSES, width=3))
    generator = torch.Generator().manual_seed(3)
    for name, tensor in found.double().state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.5 + 0.1)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return found


def features_of(batch: int = 3, size: tuple[int, int] = (2, 3), requires_grad: bool = True) -> Features:
    """Positive features without ties, a quarter of them zero."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(batch, CHANNELS, *size, generator=generator, dtype=torch.float64)
    x = torch.where(x < 0.25, torch.zeros(()).double(), x)
    return Features(x.requires_grad_(requires_grad), {})


def network(**options: Any) -> Classifier:
    torch.manual_seed(5)
    return Classifier(ResNet(8, CLASSES, width=4), GGAM(**{**SMALL, **options}))


def images_of(batch: int = 3, size: int = 16) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(6))


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def parameter_gradients(net: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def name_of(options: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items()) or "default"
