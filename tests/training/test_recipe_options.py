"""Options of recipes in whole runs: no bit depends on blocks or resumption, and joined batches are one batch."""

from collections.abc import Callable

import pytest
import torch

from attnbench.config.validate import RunConfig
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.training.test_train import FEW_IMAGES, rows, same, stop_after, weights

Tiny = Callable[..., RunConfig]
EVERYTHING = (
    "data=cluttered_digits", "data.train_images=94", "data.validation=32", "data.test_images=32", "data.batch_size=8",
    "backbone.depth=8", "backbone.width=2", "data.padding=1", "data.flip=true", "logger=none",
    "recipe.mixup=0.5", "recipe.cutmix=1.0", "recipe.mix_probability=0.8", "recipe.label_smoothing=0.1",
    "recipe.erasing=0.5", "recipe.erasing_fill=noise", "recipe.cutout=4", "recipe.policy=randaugment",
    "recipe.ema=0.9", "recipe.accumulate=3", "recipe.optimizer=lamb", "recipe.lr=0.02", "recipe.layer_decay=0.8",
    "recipe.warmup_epochs=0.5", "recipe.clip_norm=1.0",
)  # fmt: skip
"""A run of 12 batches and 4 optimiser steps an epoch with every option on."""


def test_blocks_and_resumption_change_no_bit(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run in one piece, and one in blocks of other lengths that is interrupted in its second epoch."""
    whole = plan(tiny(*EVERYTHING, "output=whole"))
    train(whole)
    parts = plan(tiny(*EVERYTHING, "trainer.block_length=5", "output=parts"))
    stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(parts)
    train(parts)
    assert same(weights(parts), weights(whole))
    assert rows(parts) == rows(whole)
    assert any(name.startswith("average.net.") for name in weights(whole))


def test_accumulated_batches_are_one_batch(tiny: Tiny) -> None:
    """A network without batch normalisation or dropout, and a last step of fewer images than the others: 40, 40, 16."""
    common = (*FEW_IMAGES, "backbone=vgg16", "backbone.width=2", "backbone.head=linear", "backbone.dropout=0",
              "recipe.lr=0.05", "recipe.clip_norm=1.0", "trainer.precision=fp32", "logger=none")  # fmt: skip
    parts = plan(tiny(*common, "recipe.accumulate=5", "output=parts"))
    joined = plan(tiny(*common, "data.batch_size=40", "output=joined"))
    for job in (parts, joined):
        train(job)
    found, expected = weights(parts), weights(joined)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-5) for name in expected)
    assert rows(parts)[-1]["lr"] == rows(joined)[-1]["lr"]
    assert rows(parts)[-1]["train/loss"] == pytest.approx(rows(joined)[-1]["train/loss"], abs=1e-4)
