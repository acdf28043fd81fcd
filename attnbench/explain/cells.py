"""The cells of a picture: one image, one map or one set of bars, drawn into matplotlib's axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnbench.explain.panels import Floats, Mark, Panel, Unit
from attnbench.overlay import COLOURS as ATTENTION
from attnbench.overlay import overlaid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Unit, str] = {"evidence": "magma", "share": ATTENTION, "gate": ATTENTION, "value": ATTENTION}
"""Perceptually uniform, and legible to people who are colour-blind."""
MEANING: dict[Unit, str] = {
    "evidence": "evidence, as a multiple of a uniform map's",
    "share": "attention, as a multiple of a uniform map's",
    "gate": "gate (from closed to open)",
    "value": "value",
}
BAR, PALE_BAR, LINE = "#4c72b0", "#a8bfe0", "#dd8452"
SMALL, TINY = 6.5, 5.0
"""Font sizes in points."""


@dataclass(frozen=True)
class Scale:
    """The range of values that colours stand for, shared by all pictures that are made together."""

    low: float
    high: float


def common_scales(panels: list[Panel], rows: int) -> dict[Unit, Scale]:
    """Return a scale for each unit of maps, over the first `rows` images of all panels.

    The most extreme half per cent of values do not stretch it.
    """
    scales: dict[Unit, Scale] = {}
    for unit in dict.fromkeys(panel.unit for panel in panels if panel.is_map):
        values = np.concatenate([panel.shown[:rows].ravel() for panel in panels if panel.is_map and panel.unit == unit])
        low, high = np.percentile(values, [0.5, 99.5]).tolist()
        scales[unit] = (
            Scale(0.0, max(high, 1.5)) if unit in ("evidence", "share") else Scale(low, max(high, low + 1e-6))
        )
    return scales


def draw_picture(axes: "Axes", picture: Floats, marks: Sequence[Mark] = ()) -> None:
    """Draw an image (C, H, W) with values in [0, 1], and what is marked in it, with words."""
    if len(picture) == 1:
        axes.imshow(picture[0], cmap="gray", vmin=0, vmax=1)
    else:
        axes.imshow(picture.transpose(1, 2, 0))
    _finish(axes, picture, marks)
    for mark in reversed(marks):  # the first are the most certain, and stay legible where words overlap
        if mark.words:
            _write(axes, mark, *picture.shape[1:])


def _write(axes: "Axes", mark: Mark, height: int, width: int) -> None:
    """Write a mark's words above its box, or in it at the upper edge; to the left at the right edge."""
    left, top, right, _ = mark.box.tolist()
    x, side = (right, "right") if left > 0.7 * width else (left, "left")
    axes.text(
        x,
        max(top, 0),
        mark.words,
        fontsize=TINY,
        ha=side,
        va="top" if top < 0.08 * height else "bottom",
        bbox={"facecolor": mark.colour, "linewidth": 0, "pad": 0.6},
        clip_on=True,
    )


def draw_map(axes: "Axes", values: Floats, unit: Unit, scale: Scale, picture: Floats, marks: Sequence[Mark]) -> None:
    """Draw a map (h, w) over its image in grey, and boxes over both."""
    height, width = picture.shape[1:]
    both = overlaid(picture, values, scale.low, scale.high, COLOURS[unit])
    axes.imshow(both.transpose(1, 2, 0), extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    _finish(axes, picture, marks)


def _finish(axes: "Axes", picture: Floats, marks: Sequence[Mark]) -> None:
    from matplotlib.patches import Rectangle

    height, width = picture.shape[1:]
    for mark in marks:
        left, top, right, bottom = (mark.box - 0.5).tolist()  # a pixel's centre is drawn at a whole number
        place = ((left, top), right - left, bottom - top)
        axes.add_patch(Rectangle(*place, fill=False, edgecolor=mark.colour, linewidth=1, clip_on=False))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)


def draw_bars(axes: "Axes", panel: Panel, index: int, highest: float) -> None:
    """Draw one image's bars; named ones lie, so that their names are legible."""
    values = panel.values[index]
    if panel.labels:
        places = range(len(values))
        axes.barh(places, values, color=PALE_BAR, height=0.8)
        for place, value, label in zip(places, values, panel.labels, strict=True):
            axes.text(0.02 * highest, place, f"{label}  {value:.2f}", va="center", fontsize=TINY + 0.5)
        axes.set(ylim=(len(values) - 0.5, -0.5), xlim=(0, highest), xticks=[], yticks=[])
    else:
        axes.stairs(values, color=BAR, fill=True)
        if panel.compared is not None:
            axes.plot(np.arange(len(values)) + 0.5, panel.compared[index], color=LINE, linewidth=0.8)
        low = min(0.0, float(values.min()))
        axes.set(xlim=(0, len(values)), ylim=(low, highest), xticks=[0, len(values)], yticks=[low, highest])
        axes.set_yticklabels([f"{low:.3g}", f"{highest:.2g}"])
        axes.tick_params(labelsize=TINY, length=2, pad=1)
        lowest, topmost = axes.yaxis.get_majorticklabels()
        lowest.set_verticalalignment("bottom")
        topmost.set_verticalalignment("top")
    for name in ("top", "right"):
        axes.spines[name].set_visible(False)
    for name in ("left", "bottom"):
        axes.spines[name].set_linewidth(0.5)


def highest_bar(panels: list[Panel], rows: int) -> float:
    """Return the common upper end of bars: 1 for gates below 1, else the highest bar."""
    values = [panel.values[:rows] for panel in panels] + [p.compared[:rows] for p in panels if p.compared is not None]
    most = max(float(part.max()) for part in values)
    return 1.0 if all(panel.unit == "gate" for panel in panels) and most <= 1 else most
