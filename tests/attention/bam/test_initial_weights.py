"""Initial weights of BAM in both variants; `tests/attention/test_initial_weights.py` has the official network's."""

import pytest
import torch
from torch import nn

from attnbench.attention.bam import BAM, BAMModule
from attnbench.attention.base import Variant
from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.config.compose import compose


def linear_layers(found: BAMModule) -> list[nn.Linear]:
    return [layer for layer in found.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_initial_weights_of_the_gates(variant: str) -> None:
    """Linear layers are PyTorch's, of deviation 1 / sqrt(3 F); convolutions He's by fan-out."""
    torch.manual_seed(0)
    found = BAMModule(512, 4, variant=variant)  # type: ignore[arg-type]
    for linear in linear_layers(found):
        assert linear.weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert linear.weight.std().item() == pytest.approx((3 * linear.in_features) ** -0.5, rel=0.02)
    for name, taps in (("reduce", 1), ("dilate0", 9), ("dilate1", 9)):
        weight = found.spatial.get_parameter(f"{name}.weight")
        assert weight.std().item() == pytest.approx((2 / (weight.shape[0] * taps)) ** 0.5, rel=0.02)
        assert found.spatial.get_parameter(f"{name}.bias").count_nonzero() == 0


def test_the_released_gates_start_without_biases() -> None:
    paper, official = BAMModule(64), BAMModule(64, variant="official")
    assert all(linear.bias.count_nonzero() > 0 for linear in linear_layers(paper))
    assert all(linear.bias.count_nonzero() == 0 for linear in linear_layers(official))
    assert all(linear.bias.count_nonzero() == 0 for linear in linear_layers(BAMModule(64, init="official")))
    assert all(
        linear.bias.count_nonzero() > 0 for linear in linear_layers(BAMModule(64, variant="official", init="paper"))
    )


@pytest.mark.parametrize(("variant", "deviation"), [("official", 0.03125), ("paper", 0.01276)])
def test_initial_weights_of_the_classifier_of_resnet50(variant: Variant, deviation: float) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        backbone = ResNet(50, 100)
    backbone.classifier = nn.Linear(2048, 100)
    with torch.device("meta"):
        BAM(variant).attach(backbone)
    classifier = backbone.classifier
    assert classifier.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert classifier.weight.mean().item() == pytest.approx(0, abs=3e-4)
    assert (classifier.bias.count_nonzero() == 0) == (variant == "official")


def test_a_classifier_of_another_family_keeps_its_initial_weights() -> None:
    torch.manual_seed(0)
    backbone = PreActResNet(20, 10)
    assert isinstance(backbone.classifier, nn.Linear)
    before = backbone.classifier.weight.clone()
    BAM("official").attach(backbone)
    assert torch.equal(backbone.classifier.weight, before)


def test_the_initial_weights_follow_the_variant_and_older_runs_had_the_papers() -> None:
    def init_of(*options: str) -> tuple[object, bool]:
        config = compose(["attention=bam", *options])
        return config["attention"]["init"], "attention.init" in config.identity

    assert init_of() == ("paper", False)
    assert init_of("attention.variant=official") == ("official", True)
    assert init_of("attention.variant=official", "attention.init=paper") == ("paper", False)
