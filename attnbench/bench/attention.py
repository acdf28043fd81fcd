"""What attention adds to a training step: whole steps of several configurations on one backbone, in turns."""

from collections.abc import Mapping, Sequence
from functools import partial

from attnbench.config.compose import compose
from attnbench.config.search_path import choices, search_path
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import Hardware
from attnbench.training.speed_probe import Probe, alternate, seconds_of

NONE = "none"
OTHERS = (NONE, "timm")
"""Choices that are no method of ours."""


def methods() -> list[str]:
    """Return the choices of `attention` that come with attnbench."""
    return [name for name in choices("attention", search_path()) if name not in OTHERS]


def step_seconds(
    configurations: Mapping[str, Sequence[str]], batch: int, steps: int, turns: int
) -> tuple[dict[str, list[float]], Hardware]:
    """Measure the training steps of configurations on random images.

    Args:
        configurations: the overrides of each, by name.
        batch: images a step.
        steps: of each configuration in a turn.
        turns: measured turns, after one that warms up.

    Returns:
        The seconds of a step in each turn, by configuration, and the choices that the first one computed with.
    """
    probes = {name: Probe(Experiment(compose(list(words))), batch) for name, words in configurations.items()}
    seconds = alternate([partial(seconds_of, probe.step, steps) for probe in probes.values()], turns)
    return dict(zip(probes, seconds, strict=True)), next(iter(probes.values())).hardware
