"""The learning-rate range test: its rates, its end, its suggestion, and that it leaves no run."""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.data.transforms.mixing import Mixing
from attnbench.errors import UserError
from attnbench.seeding import derive_seed
from attnbench.training import lr_range
from attnbench.training.classification_module import ClassificationModule
from attnbench.training.experiment import Experiment
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.lr_range import RangeTest, RisingRate, range_test
from tests.conftest import TINY

Tiny = Callable[..., RunConfig]
Capture = pytest.CaptureFixture[str]


def curve(rates: np.ndarray, losses: np.ndarray) -> RangeTest:
    return RangeTest(rates, losses, 8, complete=True)


def test_the_suggestion_is_where_the_loss_falls_most_steeply() -> None:
    """A logistic fall around a rate of 0.1, then a rise from 1 on."""
    logs = np.linspace(-4, 1, 101)
    losses = 2 - 1.5 / (1 + np.exp(-6 * (logs + 1))) + np.where(logs > 0, 3 * logs, 0)
    found = curve(10**logs, losses)
    assert found.suggestion == pytest.approx(0.1, rel=0.15)
    assert 0.3 < found.lowest_at < 1.2
    assert curve(10**logs, losses[::-1].copy()).suggestion is not None
    assert curve(10**logs, np.linspace(1, 2, 101)).suggestion is None
    ended = losses.copy()
    ended[-1] = math.nan
    assert len(curve(10**logs, ended).smoothed) == 100


def test_rates_rise_by_the_same_factor_from_the_first_to_the_last(tiny: Tiny) -> None:
    recipe = RisingRate(**tiny()["recipe"], lowest=1e-3, highest=10.0, rises=5)
    assert [recipe.rate(step, 7) for step in range(5)] == pytest.approx([1e-3, 1e-2, 0.1, 1, 10])


@pytest.mark.parametrize(
    ("rises", "seen"), [([3, 2, 1, 4, 9, 99, 99], 6), ([1, math.nan, 1], 2), ([2, 0.1, 0.1, 0.9, 0.9, 0.9], 6)]
)
def test_the_test_ends_where_the_loss_has_risen(rises: list[float], seen: int) -> None:
    assert len(list(lr_range._until_risen(iter(rises)))) == seen


def test_each_step_is_one_of_the_run_with_its_own_rate(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several epochs, groups with a rate of their own, and batches that are joined."""
    rates: list[list[float]] = []

    def noted(module: TrainingModule) -> Iterator[float]:
        optimizer = module.configure_optimizers()
        monkeypatch.setattr(module, "configure_optimizers", lambda: optimizer)
        for loss in losses(module):
            rates.append([group["lr"] for group in optimizer.param_groups])
            yield loss

    losses = lr_range._losses
    monkeypatch.setattr(lr_range, "_losses", noted)
    words = ("data.batch_size=256", "recipe.accumulate=3", "recipe.backbone_lr_factor=0.1", "recipe.lr_batch_size=256")
    found = range_test(Experiment(tiny(*words)), 1e-4, 1e-2, 10)
    assert found.complete
    assert found.images == 768
    assert found.rates[[0, -1]] == pytest.approx([1e-4, 1e-2])
    scale = 3  # from the 256 images of `lr_batch_size` to the 768 of a step
    assert [max(groups) for groups in rates] == pytest.approx(scale * found.rates)
    assert [min(groups) for groups in rates] == pytest.approx(scale * found.rates / 10)
    assert np.isfinite(found.losses).all()


def test_each_epoch_draws_its_own_changes_to_images(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[list[float]] = []

    def noted(module: TrainingModule) -> Iterator[float]:
        assert isinstance(module, ClassificationModule)
        for loss in losses(module):
            assert module.changes.mixing is not None
            shares.append(module.changes.mixing.share.tolist())
            yield loss

    losses = lr_range._losses
    monkeypatch.setattr(lr_range, "_losses", noted)
    experiment = Experiment(tiny("data.batch_size=1024", "recipe.mixup=0.8"))
    range_test(experiment, 1e-4, 1e-3, 10)
    count, size = len(shares[0]), experiment.image_size
    for number in range(5):  # of two steps each
        seed = derive_seed(experiment.seed, "mixing", number)
        drawn = Mixing(experiment.recipe, count, size, size, seed, torch.device("cpu")).share.tolist()
        assert shares[2 * number] == shares[2 * number + 1] == drawn


def test_the_command_prints_a_rate_and_writes_its_curve_and_no_run(capsys: Capture) -> None:
    assert main(["tune-lr", *TINY, "attention=bam", "attention.reduction=2", "--steps", "40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("40 steps of 128 images, rates from 0.0004 to ") or "as the loss had risen" in lines[0]
    assert lines[1].startswith("suggestion: recipe.lr=")
    folder = Path("outputs/tune-lr")
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", ".png"]
    assert not Path("outputs/runs").exists()
    (table,) = folder.glob("*.csv")
    rows = list(csv.DictReader(table.open()))
    assert list(rows[0]) == ["lr", "loss", "smoothed"]
    assert float(rows[1]["lr"]) / float(rows[0]["lr"]) == pytest.approx(1e5 ** (1 / 39))
    assert Image.open(next(folder.glob("*.png"))).width > 500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "1", "--to", "0.1"), "rates from 1 to 0.1: the first must be positive and below the second"),
        (("--from", "fast"), "argument --from: fast: must be a positive number"),
        (("--steps", "3"), "3 steps: a range test needs at least 10"),
        (("-m",), "looks at one configuration"),
        (("recipe.lr=0.1,0.2",), "recipe.lr"),
    ],
)
def test_wrong_input_is_one_line(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["tune-lr", *TINY, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_loss_that_is_never_finite_is_said(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr_range, "_losses", lambda module: iter([math.nan]))
    with pytest.raises(UserError, match=r"not finite at a rate of 0\.1"):
        range_test(Experiment(tiny()), 0.1, 1.0, 10)
