"""Wrong labels against the transition matrix Q of Residual Attention's eq. 7, and what they do not change."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.sources.arrays import Arrays
from attnbench.data.transforms.augmentation import Augmentation, LabelNoise
from attnbench.data.transforms.label_noise import mislabel
from attnbench.training.datamodule import RunData
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import resolve
from tests.data.pictures import folder_set, make_loader, write_folder

COUNT = 40_000


def truth(classes: int = 10) -> Tensor:
    return torch.arange(COUNT) % classes


def draw(noise: LabelNoise, epoch: int = 0, seed: int = 0, classes: int = 10) -> Tensor:
    return mislabel(truth(classes), epoch, noise, classes, seed)


def transition(share: float, classes: int) -> np.ndarray:
    """Q (L, L): r on the diagonal and (1 - r) / (L - 1) elsewhere, r = 1 - share."""
    matrix = np.full((classes, classes), share / (classes - 1))
    np.fill_diagonal(matrix, 1 - share)
    return matrix


@pytest.mark.parametrize("classes", [2, 10, 20])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.95])
def test_labels_change_as_the_papers_matrix_says(share: float, classes: int) -> None:
    for epoch in (0, 3):
        pairs = truth(classes) * classes + draw(LabelNoise(share, resampled=True), epoch, 1, classes)
        found = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).numpy()
        expected = found.sum(1, keepdims=True) * transition(share, classes)
        statistic = ((found - expected) ** 2 / expected).sum()
        freedom = classes * (classes - 1)  # a chi-square of d degrees of freedom has mean d and variance 2 d
        assert statistic < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_drawn_label_is_never_the_true_one(classes: int) -> None:
    every = LabelNoise(float(np.nextafter(1, 0)))  # nothing stays right
    found = draw(every, classes=classes)
    assert (found != truth(classes)).all()
    assert set(found.tolist()) == set(range(classes))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_the_share_is_met_within_sampling_error(share: float) -> None:
    wrong = (draw(LabelNoise(share)) != truth()).double().mean().item()
    assert abs(wrong - share) < 4 * (share * (1 - share) / COUNT) ** 0.5


def test_noise_is_drawn_once_or_in_every_epoch() -> None:
    fixed, resampled = LabelNoise(0.3), LabelNoise(0.3, resampled=True)
    assert torch.equal(draw(fixed, 0), draw(fixed, 7))
    assert torch.equal(draw(resampled, 7), draw(resampled, 7))
    twice = ((draw(resampled, 0) != truth()) & (draw(resampled, 7) != truth())).double().mean().item()
    assert twice == pytest.approx(0.3 * 0.3, abs=0.006)  # independent: 4 standard errors


def test_noise_depends_on_the_seed_alone() -> None:
    for noise in (LabelNoise(0.3), LabelNoise(0.3, resampled=True)):
        torch.manual_seed(1)
        first = draw(noise, 2)
        torch.manual_seed(2)
        assert torch.equal(draw(noise, 2), first)
        both = ((draw(noise, 2, seed=1) != truth()) & (first != truth())).double().mean().item()
        assert both == pytest.approx(0.3 * 0.3, abs=0.006)


def test_more_noise_keeps_what_is_wrong_already() -> None:
    little, much = draw(LabelNoise(0.1)), draw(LabelNoise(0.5))
    wrong = little != truth()
    assert torch.equal(much[wrong], little[wrong])


def test_without_noise_labels_are_the_true_ones() -> None:
    labels = truth()
    assert mislabel(labels, 3, LabelNoise(), 10, 0) is labels


def loader(noise: LabelNoise, rank: int = 0, world: int = 1) -> InMemoryLoader:
    """Images that tell which they are, in random crops and mirrored."""
    images = np.random.default_rng(0).integers(0, 256, (103, 6, 6, 1)).astype(np.uint8)
    placement = Placement(torch.device("cpu"), rank=rank, world=world)
    arrays = Arrays(images, np.arange(103, dtype=np.int64) % 10)
    changed = lambda labels, epoch: mislabel(labels, epoch, noise, 10, 5)  # noqa: E731
    return InMemoryLoader(arrays, (0.4,), (0.2,), 20, placement, Augmentation(1, "zeros", True), 5, changed)


@pytest.mark.parametrize("noise", [LabelNoise(0.4), LabelNoise(0.4, resampled=True)])
def test_noise_changes_labels_and_nothing_else(noise: LabelNoise) -> None:
    clean, noisy = loader(LabelNoise()), loader(noise)
    for number in (0, 1, 4):
        expected = mislabel(clean.labels, number, noise, 10, 5)
        assert not torch.equal(expected, clean.labels)
        one, other = clean.epoch(number), noisy.epoch(number)
        assert torch.equal(one.order, other.order)
        for index in range(len(one)):
            (images, _), (same, labels) = one.batch(index), other.batch(index)
            assert torch.equal(images, same)
            assert torch.equal(labels, expected[one.order[20 * index : 20 * index + 20]])
    assert torch.equal(noisy.labels, clean.labels)


def test_processes_see_the_same_noise() -> None:
    noise = LabelNoise(0.4, resampled=True)
    whole, parts = loader(noise), [loader(noise, rank, 2) for rank in (0, 1)]
    for number in range(len(parts[0])):
        together = [part.epoch(3).batch(number)[1] for part in parts]
        expected = whole.epoch(3).batch(number)[1]
        assert torch.equal(together[0], expected[0::2])
        assert torch.equal(together[1], expected[1::2])


@pytest.mark.parametrize("data", ["digits", "cluttered_digits"])
def test_only_training_labels_are_wrong(data: str, own_folder: Path) -> None:
    config = compose([f"data={data}", "data.label_noise=0.5", "trainer.accelerator=cpu", "trainer.precision=fp32"])
    experiment = Experiment(config)
    found = experiment.data
    loaders = RunData(found, resolve(experiment.options, torch.nn.Conv2d(1, 1, 1)), seed=0).loaders
    for split, made in loaders.items():
        epoch = made.epoch(0)
        shown = torch.cat([labels for _, labels in epoch])
        true = torch.from_numpy(found.load(split).labels)[epoch.order[: len(shown)]]  # type: ignore[arg-type]
        wrong = (shown != true).double().mean().item()
        assert wrong == pytest.approx(0.5, abs=0.06) if split == "train" else wrong == 0


def test_images_from_files_take_it(own_folder: Path) -> None:
    """Labels change as those of an image set in memory do; the images stay the same."""
    root = write_folder(own_folder / "set")
    noisy, plain = folder_set(root, "data.label_noise=0.5", "data.workers=0"), folder_set(root, "data.workers=0")
    made = [make_loader(found, "train", 3) for found in (noisy, plain)]
    (images, labels), (same, true) = (next(iter(loader.epoch(1))) for loader in made)
    order = made[0].epoch(1).order[: len(labels)]
    everything = torch.from_numpy(plain.listed("train").labels)
    assert torch.equal(images, same)
    assert torch.equal(true, everything[order])
    assert torch.equal(labels, mislabel(everything, 1, noisy.noise, 3, seed=3)[order])
    assert not torch.equal(labels, true)


@pytest.mark.parametrize("data", ["digits", "cluttered_digits", "cifar10", "cifar100"])
def test_every_resident_set_takes_it(data: str) -> None:
    found = build_data(compose([f"data={data}", "data.label_noise=0.3", "data.resampled=true"]))
    assert found.noise == LabelNoise(0.3, resampled=True)
