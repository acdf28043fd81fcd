"""Small networks and files of their weights, for the tests of loading."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from attnbench.attention.base import Attention
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.weights import load as weights

Tiny = Callable[..., RunConfig]


State = Mapping[str, Tensor]


def resnet20(classes: int = 10, attention: Attention | None = None) -> Classifier:
    return Classifier(ResNet(20, classes, width=4), attention or Attention())


def loaded(source: str | Path, net: Classifier, backbone: str = "resnet20") -> list[str]:
    return weights.load(compose([f"backbone={backbone}", f"backbone.weights={source}"]), net.backbone)


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def mistaken(state: dict[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    changed = {key: tensor for key, tensor in state.items() if key != name}
    return changed if value is None else {**changed, name: value}
