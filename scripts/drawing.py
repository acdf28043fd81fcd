"""Boxes and arrows, for the diagrams of the documentation. Figures have a white ground, so dark pages show them too."""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, GREY = "#263238", "#78909c"
BLUE, ORANGE, GREEN, VIOLET, PLAIN = "#bbdefb", "#ffe0b2", "#c8e6c9", "#e1bee7", "#eceff1"


class Box(NamedTuple):
    """A box on a drawing: its centre and its size, in the units of the axes."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x, self.y - self.height / 2


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of `width` x `height` inches with axes in the same units and nothing on them."""
    figure = Figure((width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    return figure, axes


def draw_box(axes: Axes, box: Box, text: str, color: str = PLAIN, size: float = 9) -> Box:
    """Draw a box with rounded corners and text in its middle, and return it."""
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(
        FancyBboxPatch(corner, box.width, box.height, boxstyle=style, facecolor=color, edgecolor=INK, lw=0.9)
    )
    axes.text(box.x, box.y, text, ha="center", va="center", fontsize=size, color=INK, linespacing=1.25)
    return box


def draw_arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    bend: float = 0,
    color: str = INK,
    width: float = 1,
) -> None:
    """Draw an arrow; `bend` curves it to the side (positive: to the right of its way)."""
    style = f"arc3,rad={bend}"
    arrow = FancyArrowPatch(start, end, arrowstyle="-|>", connectionstyle=style, mutation_scale=9, shrinkA=0, shrinkB=1)
    arrow.set(color=color, linewidth=width, zorder=0.5)  # below the boxes
    axes.add_patch(arrow)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "attnbench", "svg.fonttype": "path"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
