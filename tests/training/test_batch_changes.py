"""Losses of changed batches: soft targets in every attention against the two-target form."""

import pytest
import torch

from attnbench.build import build_model
from attnbench.config.compose import compose
from attnbench.training.batch_changes import BatchChanges, ChangedBatch
from attnbench.training.recipe import Recipe
from tests.training.small_loader import small_loader

ATTENTION = {
    "none": (),
    "bam": ("attention.reduction=2",),
    "gated": ("attention.regulariser_weight=0.1",),
    "ggam": ("attention.lambda=0.5",),
    "residual": ("attention.modules=[1,1,1]", "backbone=preact_resnet20"),
}


def changed(*overrides: str) -> tuple[BatchChanges, ChangedBatch, torch.Tensor]:
    """A batch of six images of ten classes, changed as a recipe says, and its true labels."""
    loader = small_loader(12, 8)
    recipe = Recipe(**compose([f"recipe.{override}" for override in overrides])["recipe"])
    changes = BatchChanges(recipe, loader, 10, seed=0, epoch=1)
    labels = torch.tensor([1, 7, 7, 2, 0, 9])
    return changes, changes(torch.randn(6, 1, 8, 8), labels, slice(6, 12)), labels


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ATTENTION)
def test_mixed_losses_are_those_of_the_two_target_form(name: str, smoothing: float) -> None:
    net = build_model(compose(["data=digits", "backbone.width=4", f"attention={name}", *ATTENTION[name]])).eval()
    changes, batch, labels = changed("mixup=1.0", "cutmix=1.0", f"label_smoothing={smoothing}")
    assert changes.mixing is not None
    share, before = changes.mixing.share[6:12], labels.roll(1)
    found = net.losses(net.output(batch.images), batch.targets)
    expected = torch.zeros(())
    for place in range(6):
        logits = net.output(batch.images[place : place + 1])
        for weight, label in ((1 - share[place], labels[place]), (share[place], before[place])):
            smoothed = torch.full((1, 10), smoothing / 10)
            smoothed[0, label] += 1 - smoothing
            expected = expected + weight / 6 * net.losses(logits, smoothed)["cross_entropy"]
    assert torch.allclose(found["cross_entropy"], expected, atol=1e-5)
    with_labels = net.losses(net.output(batch.images), batch.labels)
    for term in found.keys() - {"cross_entropy"}:  # the guide's class is the one with the larger share
        assert torch.allclose(found[term], with_labels[term], rtol=1e-4)


def test_without_options_a_batch_is_left_as_it_is() -> None:
    _, batch, labels = changed()
    assert batch.targets is batch.labels
    assert torch.equal(batch.labels, labels)
