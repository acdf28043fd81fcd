"""Whole residual attention networks against the reference: the paper's own, and narrow ones with every option."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attnbench.attention.residual import ResidualAttention
from attnbench.backbones.base import Backbone
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.build import build_backbone
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.construct import construct
from tests.attention.parity.compare import Differences, Losses, Row, compare, randomise
from tests.attention.parity.layers import log_probabilities, negative_likelihood, values_of
from tests.attention.residual.reference import Reference

CLASSES = 5
DEPTHS = (3, 2, 1)
OPTIONS: dict[str, dict[str, Any]] = {
    "mixed attention, residual learning": {},
    "mixed attention, naive learning": {"learning": "naive"},
    "channel attention, residual learning": {"activation": "channel"},
    "channel attention, naive learning": {"activation": "channel", "learning": "naive"},
    "spatial attention, residual learning": {"activation": "spatial"},
    "spatial attention, naive learning": {"activation": "spatial", "learning": "naive"},
    "local masks, mixed attention": {"mask": "local"},
    "local masks, channel attention, naive learning": {"mask": "local", "activation": "channel", "learning": "naive"},
    "local masks, spatial attention": {"mask": "local", "activation": "spatial"},
    "p, t, r = 2, 4, 3": {"p": 2, "t": 4, "r": 3},
    "two modules a stage": {"modules": 2},
}
"""Options of narrow CIFAR networks, by what docs/parity.md calls them."""
POSTACTIVATED: dict[str, dict[str, Any]] = {
    "post-activation blocks": {"sum_norm": "none"},
    "post-activation blocks, sums normalised": {"sum_norm": "batch"},
    "post-activation blocks, spatial attention": {"sum_norm": "none", "activation": "spatial"},
}


class Network(NamedTuple):
    """A network and its layout."""

    net: Classifier
    blocks: Sequence[int]
    modules: Sequence[int]
    side: int
    """Of the images, in pixels."""


def narrow(options: dict[str, Any], preactivated: bool = True) -> Network:
    """The CIFAR network with 8, 16 and 32 channels, or one of ResNeXt's blocks."""
    backbone: Backbone = ResNeXt(20, 2, 2, CLASSES, width=2)
    if preactivated:
        backbone = PreActResNet(20, CLASSES, width=2, block="bottleneck")
    return Network(Classifier(backbone, ResidualAttention(**options)), (2, 2, 2), (options.get("modules", 1),) * 3, 16)


def named(experiment: str, side: int, *more: str) -> Network:
    """The network of an experiment, with more options, for images of `side` pixels."""
    stem = ["backbone.stem=imagenet"] if "imagenet" in experiment else []
    config = compose([f"experiment={experiment}", *stem, *more])
    backbone = build_backbone(config, num_classes=1000 if stem else 10, in_channels=3, image_size=side)
    modules = config["attention"]["modules"]
    blocks = (1, 1, 1, 3) if stem else (2, 2, 2)
    counts = [modules] * 3 if isinstance(modules, int) else modules
    return Network(Classifier(backbone, construct("attention", config["attention"])), blocks, counts, side)


def measure(network: Network, options: dict[str, Any], training: bool) -> Differences:
    """Compare a network with the reference, on two images."""
    net, blocks, modules, side = network
    images = torch.randn(2, 3, side, side, dtype=torch.float64)
    randomise(net, images)
    net.train(training)
    reference = Reference(values_of(net), options, training, net.backbone.preactivated)

    def output(images: Tensor, target: Tensor) -> tuple[Tensor, Losses]:
        logits = reference.network(images, blocks, modules, DEPTHS)
        return logits, [negative_likelihood(log_probabilities(logits), target)]

    return compare(net, images, torch.tensor([3, 1]), output)


def measure_narrow(options: dict[str, Any], preactivated: bool, training: bool) -> Differences:
    torch.manual_seed(0)
    return measure(narrow(options, preactivated), options, training)


def measure_named(experiment: str, side: int, training: bool) -> Differences:
    torch.manual_seed(0)
    return measure(named(experiment, side), {}, training)


FIGURE, RELEASE = "equations 1 to 6, figure 2", "figure 2, released prototxt"
CIFAR = {"Attention-56": "attention56_cifar10", "Attention-92": "attention92_cifar10"}
IMAGENET = {
    "Attention-56": "attention56_imagenet",
    "Attention-92": "attention92_imagenet",
    "AttentionNeXt-56": "attentionnext56_imagenet",
}


def imagenet_rows() -> Iterator[Row]:
    """At 64 pixels the networks have all their layers, on smaller maps, and evaluation takes about two seconds."""
    for title, experiment in IMAGENET.items():
        for side, slow in ((64, (True,)), (224, (False, True))):
            variant = f"{title}, ImageNet, {side} pixels"
            yield Row("residual", variant, RELEASE, partial(measure_named, experiment, side), slow)


ROWS = [
    *(Row("residual", f"{title}, CIFAR", FIGURE, partial(measure_named, name, 32)) for title, name in CIFAR.items()),
    *imagenet_rows(),
    *(Row("residual", title, FIGURE, partial(measure_narrow, case, True)) for title, case in OPTIONS.items()),
    *(Row("residual", title, RELEASE, partial(measure_narrow, case, False)) for title, case in POSTACTIVATED.items()),
]
