"""An entry of `explanations.json`: the scores of a run's maps."""

from dataclasses import dataclass, field

from attnbench.runs.json_objects import JsonObject, between, named

LOCALISATION = {
    "pointing_game": "higher",
    "pointing_game_15px": "higher",
    "energy_in_box": "higher",
    "box_accuracy": "higher",
    "box_accuracy_v2": "higher",
}
"""Measures of where a map is, and whether a lower or a higher value is better."""
FAITHFULNESS = {
    "insertion": "higher",
    "deletion": "lower",
    "road_morf": "lower",
    "road_lerf": "higher",
    "average_drop": "lower",
    "increase_in_confidence": "higher",
}
"""The same for measures of whether a map says what the network uses; they take further passes of the network."""


@dataclass(frozen=True)
class Mean:
    """Mean of a score over images, with its interval: it speaks of images, not of training again.

    Attributes:
        value: mean over images; None without any.
        low: lower end of the 95 % interval; None for a single image.
        high: upper end.
        n: number of images.
        by_class: mean over classes of the classes' means, as the pointing game is usually reported; None where classes
            are not known.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    by_class: float | None = None


@dataclass(frozen=True, kw_only=True)
class ExplanationEntry(JsonObject):
    """An entry of `explanations.json`: the scores of a run's maps, and of which images.

    layers: names of the class activation maps, the one that the classifier pools first. thresholds: the images on which
    those of box accuracy were chosen. maps: means by map and measure.
    """

    checkpoint: str
    images: int = field(metadata=between(1))
    pick: str
    seed: int
    explained_class: str = field(metadata=named("class"))
    methods: list[str]
    layers: list[str]
    thresholds: str
    maps: dict[str, dict[str, Mean]]
    version: str
    written: str
