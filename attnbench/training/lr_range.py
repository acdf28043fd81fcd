"""The learning-rate range test: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3,
arXiv 1506.01186.

A network is trained for a few steps while the rate rises by the same factor from step to step (Smith: by the same
amount, over several epochs). Where its loss falls most steeply, a rate suits it; where the loss rises again, rates are
too high. Lightning's tuner does the same for automatic optimisation only.

Everything else is as in the run: data, augmentation, precision, optimiser, groups with rates of their own. Nothing is
recorded.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from attnbench.errors import UserError
from attnbench.training.debug import tried_out
from attnbench.training.experiment import Experiment
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.metrics import total
from attnbench.training.recipe import Recipe

RECENT = 5
"""Steps whose mean loss is compared with the least so far."""
RISEN = 4.0
"""The test ends where that mean is so many times the least, as in Lightning's tuner, and not below the first loss."""
WIDTH = 0.03
"""Standard deviation of the smoothing of losses, as a share of the steps."""
FEWEST = 10


@dataclass(frozen=True)
class RisingRate(Recipe):
    """A recipe whose rate rises from `lowest` to `highest` times `lr`, by the same factor at each of `rises` steps."""

    lowest: float
    highest: float
    rises: int

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the factor of `lr` for optimiser step `step`, counted from 0."""
        return self.lowest * (self.highest / self.lowest) ** (step / (self.rises - 1))


@dataclass(frozen=True)
class RangeTest:
    """Losses at rising rates.

    Attributes:
        rates: (N,) of `recipe.lr`, one a step, rising.
        losses: (N,), the last of which may not be finite.
        images: of a step.
        complete: whether the highest rate was reached; otherwise the loss had risen too far before.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    images: int
    complete: bool

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The finite losses, smoothed over neighbouring steps."""
        finite = self.losses[np.isfinite(self.losses)]
        smoothed: NDArray[np.float64] = gaussian_filter1d(finite, max(1.0, WIDTH * len(self.rates)), mode="nearest")
        return smoothed

    @property
    def lowest_at(self) -> float:
        """The rate at which the smoothed loss is lowest."""
        return float(self.rates[self.smoothed.argmin()])

    @property
    def suggestion(self) -> float | None:
        """The rate, before the lowest loss, at which the smoothed loss falls most steeply; None if it never falls."""
        smoothed = self.smoothed
        slopes = np.gradient(smoothed)[: smoothed.argmin() + 1]
        return float(self.rates[slopes.argmin()]) if slopes.min() < 0 else None


def range_test(experiment: Experiment, lowest: float, highest: float, steps: int) -> RangeTest:
    """Train with rising rates.

    Args:
        experiment: the run whose rate is searched for; its configuration is checked.
        lowest: the first value of `recipe.lr`.
        highest: the last one, unless the loss rises too far before.
        steps: optimiser steps.

    Raises:
        UserError: the range is empty, there are too few steps, or the loss is not finite from the start.
    """
    if not 0 < lowest < highest < math.inf:
        raise UserError(f"rates from {lowest:g} to {highest:g}: the first must be positive and below the second")
    if steps < FEWEST:
        raise UserError(f"{steps} steps: a range test needs at least {FEWEST}")
    lr = float(experiment.config["recipe"]["lr"])  # the recipe's own may be scaled by `lr_batch_size`
    recipe = RisingRate(**asdict(experiment.recipe), lowest=lowest / lr, highest=highest / lr, rises=steps)
    with tried_out(experiment, experiment.build_network, recipe) as module:
        losses = list(_until_risen(islice(_losses(module), steps)))
    if not np.isfinite(losses).any():
        raise UserError(f"the loss is not finite at a rate of {lowest:g}: begin with a lower one")
    rates = lr * np.array([recipe.rate(step, steps) for step in range(len(losses))])
    images = module.loaders["train"].batch_size * recipe.accumulate
    return RangeTest(rates, np.array(losses), images, len(losses) == steps)


def _losses(module: TrainingModule) -> Iterator[float]:
    """Train without end, and yield the mean loss of the batches of each optimiser step."""
    optimizer = module.configure_optimizers()
    for number in count():
        module.begin_epoch(number)
        epoch = module.loaders["train"].epoch(number)
        waiting: list[float] = []
        for batch in range(module.batches):
            _, step = module.step(optimizer, epoch, batch)
            waiting.append(total(step.losses).item())
            if batch == module.recipe.joined(batch, module.batches)[-1]:
                yield sum(waiting) / len(waiting)
                waiting = []


def _until_risen(losses: Iterator[float]) -> Iterator[float]:
    """Yield losses up to the first one that is not finite, or after which they have risen too far."""
    recent: list[float] = []
    first, least = None, math.inf
    for loss in losses:
        yield loss
        recent = [*recent, loss][-RECENT:]
        mean = sum(recent) / len(recent)
        first, least = mean if first is None else first, min(least, mean)
        if not mean <= max(RISEN * least, first):  # also where it is not a number
            return
