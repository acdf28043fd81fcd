"""Binary cross-entropy in place of cross-entropy, against timm's."""

from collections.abc import Callable

import pytest
import torch
from timm.loss.binary_cross_entropy import BinaryCrossEntropy

from attnbench.build import build_model
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.training.losses import binary_cross_entropy, training_losses
from attnbench.training.plan import plan
from attnbench.training.recipe import Recipe, probabilities

Tiny = Callable[..., RunConfig]


@pytest.mark.parametrize("threshold", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["labels", "smoothed", "mixed"])
def test_the_loss_is_timms(threshold: float, kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 5, generator=generator), torch.tensor([0, 3, 3, 4, 1, 2])
    share = torch.tensor([0.0, 0.1, 0.3, 0.5, 0.7, 0.9])[:, None]
    mixed = torch.lerp(probabilities(labels, 5, 0.1), probabilities(labels.roll(1), 5, 0.1), share)
    targets = {"labels": labels, "smoothed": probabilities(labels, 5, 0.1), "mixed": mixed}[kind]
    reference = BinaryCrossEntropy(smoothing=0.0, target_threshold=threshold or None)
    assert torch.allclose(binary_cross_entropy(logits, targets, threshold), reference(logits, targets))
    assert torch.allclose(binary_cross_entropy(logits.bfloat16(), targets, threshold), reference(logits, targets), 0.05)


def test_only_the_cross_entropy_is_replaced() -> None:
    words = ["data=digits", "backbone.width=4", "attention=ggam", "recipe.loss=bce", "recipe.bce_threshold=0.2"]
    config = compose(words)
    net, labels = build_model(config), torch.tensor([1, 7, 2])
    output = net.output(torch.randn(3, 1, 8, 8))
    found = training_losses(net, output, labels, Recipe(**config["recipe"]))
    assert list(found) == ["bce", "guide"]
    assert torch.equal(found["bce"], binary_cross_entropy(output.logits, labels, 0.2))
    assert list(training_losses(net, output, labels, Recipe(**compose()["recipe"]))) == ["cross_entropy", "guide"]


def test_it_is_refused_where_there_are_no_scores_of_classes(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"recipe\.loss=bce: needs scores of classes"):
        plan(tiny("attention=gated", "recipe.loss=bce"))
    assert plan(tiny("attention=gated", "attention.combine=logits", "recipe.loss=bce"))


def test_an_attention_without_a_loss_is_refused() -> None:
    config = compose(["data=digits", "backbone.width=4"])
    net = build_model(config)
    net.attention.losses = lambda output, target: {}  # type: ignore[method-assign]
    with pytest.raises(UserError, match="names no term"):
        training_losses(net, net.output(torch.randn(3, 1, 8, 8)), torch.tensor([1, 7, 2]), Recipe(**config["recipe"]))
