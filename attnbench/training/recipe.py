"""Recipes: how a network is trained, with the ranges of all options checked, and the schedule of its learning rate."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnbench.data.transforms.erasing import ErasingOptions
from attnbench.data.transforms.mixing import MixingOptions
from attnbench.data.transforms.policies import PolicyOptions
from attnbench.errors import require, require_choice

OPTIMIZERS = ("sgd", "adamw", "lamb", "lion", "muon")
LOSSES = ("cross_entropy", "bce")
SCHEDULES = ("constant", "multi_step", "cosine", "one_cycle")


@dataclass(frozen=True)
class Recipe(MixingOptions, ErasingOptions, PolicyOptions):
    """Training recipe with its ranges checked; `configs/recipe/one_cycle.yaml` explains each option."""

    epochs: int
    optimizer: str
    lr: float
    lr_batch_size: int
    backbone_lr_factor: float
    layer_decay: float
    freeze: str
    momentum: float
    nesterov: bool
    betas: list[float]
    weight_decay: float
    decay_norm_and_bias: bool
    loss: str
    bce_threshold: float
    label_smoothing: float
    clip_norm: float
    accumulate: int
    ema: float
    schedule: str
    update: str
    warmup: float
    warmup_epochs: float
    warmup_from: float
    final: float
    milestones: list[float]
    gamma: float

    def __post_init__(self) -> None:
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        require_choice("loss", self.loss, LOSSES)
        require_choice("schedule", self.schedule, SCHEDULES)
        require_choice("update", self.update, ("step", "epoch"))
        for key in ("epochs", "accumulate"):
            value = getattr(self, key)
            require(value >= 1, key, value, "must be at least 1")
        for key in ("lr", "gamma"):
            value = getattr(self, key)
            require(0 < value < math.inf, key, value, "must be positive")
        require(self.lr_batch_size >= 0, "lr_batch_size", self.lr_batch_size, "must not be negative; 0 scales nothing")
        factor = self.backbone_lr_factor
        require(0 < factor <= 1000, "backbone_lr_factor", factor, "must be in (0, 1000]: it is a factor of lr")
        require(0 < self.layer_decay <= 1, "layer_decay", self.layer_decay, "must be in (0, 1]: 1 is no decay")
        below = 0 <= self.warmup_epochs < self.epochs
        require(below, "warmup_epochs", self.warmup_epochs, f"must be below recipe.epochs={self.epochs}, and 0 or more")
        for key in ("weight_decay", "clip_norm"):
            value = getattr(self, key)
            require(0 <= value < math.inf, key, value, "must not be negative")
        for key in ("momentum", "bce_threshold", "label_smoothing", "warmup", "ema"):
            value = getattr(self, key)
            require(0 <= value < 1, key, value, "must be in [0, 1)")
        for key in ("warmup_from", "final"):
            value = getattr(self, key)
            require(0 <= value <= 1, key, value, "must be in [0, 1]: it is a fraction of lr")
        self._check_combinations()
        self.check_mixing()
        self.check_erasing()
        self.check_policy()

    def _check_combinations(self) -> None:
        two = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        require(two, "betas", self.betas, "must be two numbers in [0, 1)")
        if self.nesterov and self.optimizer in ("sgd", "muon"):
            require(self.momentum > 0, "momentum", self.momentum, "must be positive with nesterov=true")
        rising = self.milestones == sorted(set(self.milestones)) and min(self.milestones, default=1) > 0
        require(rising, "milestones", self.milestones, "must be positive epochs in rising order")
        if self.schedule == "multi_step":
            require(bool(self.milestones), "milestones", self.milestones, "must name at least one epoch")

    def for_steps_of(self, images: int) -> "Recipe":
        """Return the recipe with `lr` for steps of this many images, by the linear rule (Goyal et al. 2017).

        With `lr_batch_size=0` nothing changes.
        """
        return replace(self, lr=self.lr * images / self.lr_batch_size) if self.lr_batch_size else self

    @property
    def note(self) -> str:
        """What of the recipe has no effect, in words; empty if everything has one."""
        late = [f"{milestone:g}" for milestone in self.milestones if milestone >= self.epochs]
        if self.schedule != "multi_step" or not late:
            return ""
        epochs = "the only epoch" if self.epochs == 1 else f"the last of {self.epochs} epochs"
        come = "comes" if len(late) == 1 else "come"
        return f"recipe.milestones: {', '.join(late)} {come} after {epochs}; lr does not fall there"

    def joined(self, number: int, batches: int) -> range:
        """Return the batches, of those of an epoch, that form one optimiser step together with batch `number`."""
        first = number - number % self.accumulate
        return range(first, min(first + self.accumulate, batches))

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the factor of `lr` for optimiser step `step`, counted from 0 over all epochs.

        With `update=epoch` it is that of the epoch's first step, so the last epoch still learns where `final` is 0.
        """
        if self.update == "epoch":
            step -= step % steps_per_epoch
        total = self.epochs * steps_per_epoch
        rising = round(self.warmup_epochs * steps_per_epoch or self.warmup * total)
        if step < rising:
            share = step / rising
            shape = (1 - math.cos(math.pi * share)) / 2 if self.schedule == "one_cycle" else share
            return self.warmup_from + (1 - self.warmup_from) * shape
        if self.schedule == "multi_step":
            passed = bisect_right(self.milestones, step / steps_per_epoch + 1e-9)
            return float(self.gamma**passed)
        if self.schedule == "constant":
            return 1.0
        last = total - 1 if self.schedule == "one_cycle" else total  # one_cycle's last step is exactly at `final`
        share = min(1.0, (step - rising) / max(1, last - rising))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * share)) / 2


def probabilities(labels: Tensor, classes: int, amount: float) -> Tensor:
    """Return labels (B,) as probabilities (B, L), with `amount` spread evenly over all classes."""
    even = torch.full((len(labels), classes), amount / classes, device=labels.device)
    return even.scatter_add_(1, labels[:, None], torch.full((len(labels), 1), 1 - amount, device=labels.device))
