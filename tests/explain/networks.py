"""Small networks with every attention, and a user's own one."""

from functools import cache

import torch
from torch import Tensor, nn

from attnbench.attention.base import Attention, ModuleOutput, Output
from attnbench.backbones.base import Backbone
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose


class ChannelGate(nn.Module):
    """The example of attention/base.py."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> ModuleOutput:
        gate = torch.sigmoid(self.score(x.mean((2, 3))))[:, :, None, None]
        return ModuleOutput(x * gate, {"gate": gate})


class OwnAttention(Attention):
    """A user's own attention, whose `maps()` is all that explanations know of it."""

    def attach(self, backbone: Backbone) -> None:
        for point in backbone.match("stage*.out"):
            backbone.insert(point, ChannelGate(backbone.points[point].channels), "mine")

    def maps(self, output: Output) -> dict[str, Tensor]:
        return {key: gate for key, gate in output.features.taps.items() if key.endswith("/mine/gate")}


@cache
def network(*overrides: str) -> Classifier:
    """Build a network of width 4 for digits; it must not be changed."""
    torch.manual_seed(0)
    return build_model(compose(["data=cluttered_digits", "backbone.width=4", *overrides])).eval()


def images(count: int = 3, channels: int = 1, height: int = 24, width: int = 24) -> Tensor:
    """Draw images."""
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(1))
