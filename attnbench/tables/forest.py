"""A forest plot as plain data: groups of differences with their intervals, ready to be drawn in whatever format."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal

Interval = tuple[float, float]


@dataclass(frozen=True)
class ForestLine:
    """A difference.

    Attributes:
        interval: None where it is not known.
        weight: in the pooled estimate, from 0 to 1.
        pooled: whether it is the estimate that pools the lines above it.
        prediction: where a further line is expected; only of a pooled estimate.
    """

    label: str
    mean: float
    interval: Interval | None = None
    weight: float = 0.0
    pooled: bool = False
    prediction: Interval | None = None


@dataclass(frozen=True)
class ForestGroup:
    """The lines of one method.

    Attributes:
        detail: what it costs, in a few words.
        remark: what is different about its baseline, to be read below its name.
    """

    name: str
    lines: tuple[ForestLine, ...]
    detail: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Forest:
    """A forest plot.

    Attributes:
        axis: what the differences are, with their unit.
        better: the side of zero on which a method is better than the baseline.
    """

    title: str
    axis: str
    groups: tuple[ForestGroup, ...]
    better: Literal["right", "left"] = "right"

    def lines(self) -> Iterator[ForestLine]:
        """Yield the lines of all groups from top to bottom."""
        for group in self.groups:
            yield from group.lines

    def limits(self) -> Interval:
        """Return the ends of the axis: all means are inside, and zero; what of very wide intervals is outside is cut.

        Intervals of two or three blocks can be a hundred times wider than the differences.
        """
        lines = list(self.lines())
        means = [0.0, *(line.mean for line in lines)]
        intervals = [line.interval for line in lines if line.interval]
        widths = [high - low for low, high in intervals]
        room = max(0.6 * (max(means) - min(means)), 0.75 * median(widths) if widths else 0.0, 0.05)
        lowest, highest = min(means) - room, max(means) + room
        edge = 0.03 * (highest - lowest)  # so that a mark at the end is drawn whole
        low = max(lowest, min([*means, *(low for low, _ in intervals)]) - edge)
        high = min(highest, max([*means, *(high for _, high in intervals)]) + edge)
        return low, high

    def judge(self, line: ForestLine) -> Literal["better", "worse", "unclear"]:
        """Return on which side of zero the whole interval of a line lies."""
        if line.interval is None or line.interval[0] <= 0 <= line.interval[1]:
            return "unclear"
        return "better" if (line.interval[0] > 0) == (self.better == "right") else "worse"
