"""Initial weights of the official variants: deviations and biases as the released code draws them."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from attnbench.attention.bam import BAM
from attnbench.attention.gated import Gated
from attnbench.attention.ggam import GGAM
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier


class Weights(NamedTuple):
    """Initial weights of a layer: the deviation, and that of the biases, if it has some."""

    deviation: float
    biases: float | None = None


def he(fan: int) -> float:
    """Return the deviation of He et al. (2015), a normal distribution, for that many inputs or outputs."""
    return (2 / fan) ** 0.5


def default(inputs: int) -> float:
    """Return the deviation of PyTorch's default, a uniform distribution, for that many inputs."""
    return (3 * inputs) ** -0.5


def bam() -> Classifier:
    return Classifier(ResNet(50, 100, width=32), BAM("official", reduction=4))


def gated() -> Classifier:
    backbone = WideResNet(
        10, 4, 20, shortcut_input="raw", dropout_kind="channel", dropout=0.3, stem_norm=True, init="fan_in"
    )
    return Classifier(backbone, Gated("official"))


def ggam() -> Classifier:
    return Classifier(ResNet(11, 20, block="bottleneck"), GGAM("official"))


OFFICIAL: dict[str, tuple[Callable[[], Classifier], dict[str, Weights]]] = {
    # convolutions by fan-out, if their names contain "conv"; the rest by PyTorch's rules; biases 0
    "bam": (
        bam,
        {
            "backbone.stem.0": Weights(he(32 * 9)),
            "backbone.stage1.block0.conv1": Weights(he(32)),
            "backbone.stage2.block1.conv2": Weights(he(64 * 9)),
            "backbone.stage2.block0.shortcut.0": Weights(default(128)),
            "backbone.stage4.block0.shortcut.0": Weights(default(512)),
            "backbone.classifier": Weights(he(1024), 0),
            "backbone.stage2.out.bam.channel.reduce": Weights(default(256), 0),
            "backbone.stage2.out.bam.channel.expand": Weights(default(64), 0),
            "backbone.stage2.out.bam.spatial.reduce": Weights(he(64), 0),
            "backbone.stage2.out.bam.spatial.dilate0": Weights(he(64 * 9), 0),
            "backbone.stage2.out.bam.spatial.dilate1": Weights(he(64 * 9), 0),
            "backbone.stage3.out.bam.spatial.project": Weights(he(1), 0),
        },
    ),
    # everything by fan-in; the classifier's biases are PyTorch's
    "gated": (
        gated,
        {
            "backbone.stem.0": Weights(he(27)),
            "backbone.stage1.block0.conv1": Weights(he(16 * 9)),
            "backbone.stage1.block0.conv2": Weights(he(64 * 9)),
            "backbone.stage3.block0.shortcut": Weights(he(128)),
            "backbone.classifier": Weights(he(256), default(256)),
            "attention.heads.stage1.mask": Weights(he(64 * 9)),
            "attention.heads.stage2.scores": Weights(he(128 * 9)),
            "attention.heads.stage3.gate": Weights(he(256 * 9)),
            "attention.gate.0": Weights(he(256)),
        },
    ),
    # PyTorch's throughout; the released backbone is a pretrained one
    "ggam": (
        ggam,
        {
            "attention.excite.reduce": Weights(default(256), default(256)),
            "attention.excite.expand": Weights(default(16), default(16)),
            "attention.head.hidden": Weights(default(256), default(256)),
            "attention.head.classify": Weights(default(512), default(512)),
        },
    ),
}


def assert_deviation(values: Tensor, expected: float) -> None:
    """Check mean and deviation of random numbers, five standard errors either way."""
    error = 5 * values.numel() ** -0.5
    assert values.std(correction=0).item() == pytest.approx(expected, rel=error / 2**0.5)
    assert values.mean().item() == pytest.approx(0, abs=error * expected)


@pytest.mark.parametrize("method", OFFICIAL)
def test_official_variants_start_as_released(method: str) -> None:
    torch.manual_seed(0)
    build, layers = OFFICIAL[method]
    net = build()
    for name, (deviation, biases) in layers.items():
        layer = net.get_submodule(name)
        assert_deviation(layer.get_parameter("weight"), deviation)
        found = dict(layer.named_parameters()).get("bias")
        assert (found is None) == (biases is None), name
        if found is not None and biases is not None:
            assert_deviation(found, biases)


@pytest.mark.parametrize("method", OFFICIAL)
def test_batch_normalisation_starts_as_the_identity(method: str) -> None:
    build, _ = OFFICIAL[method]
    parameters = dict(build().named_parameters())
    norms = {name.rpartition(".")[0] for name, p in parameters.items() if p.ndim == 1 and name.endswith("weight")}
    assert len(norms) > 1
    assert all((parameters[f"{norm}.weight"] == 1).all() for norm in norms)
    assert all(parameters[f"{norm}.bias"].count_nonzero() == 0 for norm in norms)


def test_projections_of_the_papers_variant_are_drawn_like_other_convolutions() -> None:
    torch.manual_seed(0)
    net = Classifier(ResNet(50, 100, width=32), BAM("paper", reduction=4))
    assert_deviation(net.get_submodule("backbone.stage2.block0.shortcut.0").get_parameter("weight"), he(256))
