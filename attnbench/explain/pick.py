"""Which test images to explain: at random, classified rightly or wrongly, or where two runs disagree."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnbench.config.diff import differences, label
from attnbench.data.loaders.chosen import ChosenImages, choose_images, split_size
from attnbench.errors import UserError
from attnbench.runs.explanations import Request
from attnbench.runs.files import shown
from attnbench.runs.predictions import Pick
from attnbench.training.trained_run import LoadedRun, TrainedRun

SHOWN_DIFFERENCES = 2
"""Of runs whose attention and seed are the same."""


def require_same_images(runs: Sequence[LoadedRun]) -> None:
    """Raise `UserError` unless all runs were tested on the same images of the same classes."""
    first = runs[0]
    for other in runs[1:]:
        same = (first.classes, first.data.channels, first.data.image_size, first.data.fingerprint())
        if same != (other.classes, other.data.channels, other.data.image_size, other.data.fingerprint()):
            names = f"{shown(first.folder)} and {shown(other.folder)}"
            raise UserError(f"{names} have other test images; runs are explained together on the same ones")


def pick_images(runs: Sequence[TrainedRun], count: int, pick: Pick = "random", seed: int = 0) -> NDArray[np.int64]:
    """Return numbers of test images, in ascending order.

    Args:
        runs: of the same test set.
        count: of images; fewer are returned if there are no more.
        pick: `random`; `right` or `wrong`, as all runs classify them; or `changed`, where predictions of runs differ.
        seed: of the choice: the same seed always gives the same images of a set.

    Raises:
        UserError: no image qualifies, or the predictions of a run are not at hand.
    """
    if pick == "changed" and len(runs) < 2:
        raise UserError("--pick changed: name two runs or more")
    everything = pick == "random"
    candidates = np.arange(split_size(runs[0].data, "test")) if everything else _qualified(runs, pick)
    if not len(candidates):
        raise UserError(f"--pick {pick}: there is no such image in the test set")
    return draw_numbers(candidates, count, seed)


def draw_numbers(candidates: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return so many of the candidates, or all of them, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(candidates)[:count]).astype(np.int64)


def read_test_images(runs: Sequence[TrainedRun], request: Request) -> ChosenImages:
    """Read the images that a request picks from the test set of runs. Raises `UserError` as `pick_images` does."""
    return choose_images(runs[0].data, "test", pick_images(runs, request.images, request.pick, request.seed))


def _qualified(runs: Sequence[TrainedRun], pick: str) -> NDArray[np.int64]:
    """Return the numbers of the images that qualify, by the predictions of the runs' own tests."""
    tests = [run.test_predictions for run in runs]
    shared = tests[0].index
    for test in tests[1:]:
        shared = np.intersect1d(shared, test.index)
    rows = [np.isin(test.index, shared) for test in tests]
    correct = np.stack([test.correct[row] for test, row in zip(tests, rows, strict=True)])
    predicted = np.stack([test.predicted[row] for test, row in zip(tests, rows, strict=True)])
    chosen = {
        "right": correct.all(0),
        "wrong": (~correct).all(0),
        "changed": (predicted != predicted[0]).any(0),
    }[pick]
    return shared[chosen].astype(np.int64)


def names_of(runs: Sequence[LoadedRun]) -> list[str]:
    """Return a short name for each run: its attention and seed, and what tells it from others of the same name."""
    names = [f"{run.config.choices['attention']} seed{run.config['seed']}" for run in runs]
    for name in {name for name in names if names.count(name) > 1}:
        same = [number for number, other in enumerate(names) if other == name]
        for number, found in zip(same, differences([runs[number].config for number in same]), strict=True):
            names[number] = f"{name} {label(dict(list(found.items())[:SHOWN_DIFFERENCES]))}".strip()
    if len(set(names)) < len(names):
        names = [f"{name} {run.folder.parent.name[-6:]}" for name, run in zip(names, runs, strict=True)]
    return numbered(names, "{} ({})")


def numbered(names: Sequence[str], pattern: str) -> list[str]:
    """Return names of which those that stand there before have a number, from 2, as the pattern says."""
    counts = [names[:place].count(name) + 1 for place, name in enumerate(names)]
    return [pattern.format(name, count) if count > 1 else name for name, count in zip(names, counts, strict=True)]
