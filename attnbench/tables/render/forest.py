"""A forest plot as a figure: for a page as SVG in the page's colours, for a README or a paper as PNG, SVG or PDF.

Labels are on the left, differences in figures on the right, so that the plot is read without a table. Figures for files
have a white ground, so dark pages show them too; at 500 pixels of width the smallest letters are 10 pixels high.
"""

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.formatting import signed_with_interval
from attnbench.runs.figures import write_figure
from attnbench.tables.forest import Forest, ForestGroup, ForestLine
from attnbench.tables.render.layout import one_line
from attnbench.tables.render.plots import FAINT, INK, SERIES, SETTINGS, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.0  # inches of 72 points
LINE, MARGIN_TOP, MARGIN_BOTTOM = 0.235, 0.3, 0.55  # inches
LEFT, RIGHT = 0.385, 0.73  # ends of the plot, as shares of the width
COLORS = {"better": SERIES[0], "worse": SERIES[1], "unclear": INK}
FILE_COLORS = {INK: "#24292f", FAINT: "#8c959f"}
SIZE, SMALL = 10.5, 9.5  # points
LONGEST, LONGEST_NAME, LONGEST_REMARK = 38, 34, 50
"""Most characters of a label, of a method's name beside its costs, and of a remark beside them."""


def svg(forest: Forest, name: str) -> str:
    """Render the plot as an SVG element of an HTML page; `name` is the prefix of the element's ids."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()  # the user's settings have no effect
        mpl.rcParams.update(SETTINGS)
        text = StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        draw_forest(forest).savefig(text, format="svg", transparent=True, metadata=nothing)
        return inline_svg(text.getvalue(), name, one_line(f"{forest.title}: {forest.axis}"))


def save(forest: Forest, path: Path) -> None:
    """Write the plot to a file whose ending names the format, on white. Raises what `write_figure` raises."""
    import matplotlib as mpl

    settings = {
        key: FILE_COLORS.get(value, value) if isinstance(value, str) else value for key, value in SETTINGS.items()
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**settings, "svg.fonttype": "path"})
        write_figure(draw_forest(forest, FILE_COLORS), path, dpi=200)


def draw_forest(forest: Forest, colors: dict[str, str] | None = None) -> "Figure":
    """Draw the plot.

    Args:
        forest: with at least one group.
        colors: in place of `INK` and `FAINT`, the colours that a page sets.
    """
    from matplotlib.figure import Figure

    replaced = colors or {}
    rows = sum(_heading_rows(group) + len(group.lines) for group in forest.groups) + 0.4 * (len(forest.groups) - 1)
    height = rows * LINE + MARGIN_TOP + MARGIN_BOTTOM
    figure = Figure(figsize=(WIDTH, height))
    area = (LEFT, MARGIN_BOTTOM / height, RIGHT - LEFT, rows * LINE / height)
    axes = figure.add_axes(area)
    _set_up(axes, forest, rows, replaced)
    place = 0.5
    for group in forest.groups:
        place = _draw_group(axes, forest, group, place, replaced) + 0.4
    return figure


def _set_up(axes: "Axes", forest: Forest, rows: float, colors: dict[str, str]) -> None:
    """Draw the axis and the sides on which a method is better and worse."""
    ink, faint = colors.get(INK, INK), colors.get(FAINT, FAINT)
    axes.set_xlim(forest.limits())
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(one_line(forest.axis), fontsize=SMALL)
    axes.xaxis.set_label_coords(0.5 + (0.5 - (LEFT + RIGHT) / 2) / (RIGHT - LEFT), -0.33 / (rows * LINE))
    axes.tick_params(axis="x", labelsize=SMALL, length=3, color=faint)
    words = ("worse", "better") if forest.better == "right" else ("better", "worse")
    for text, side, shift in ((f"← {words[0]}", "right", -6), (f"{words[1]} →", "left", 6)):
        axes.annotate(text, (0, 0), (shift, 0), textcoords="offset points", ha=side, va="bottom", color=ink,
                      fontsize=SMALL)  # fmt: skip


def _draw_group(axes: "Axes", forest: Forest, group: ForestGroup, place: float, colors: dict[str, str]) -> float:
    """Draw a method's name, its remark, and its lines, from a place downwards; returns the place below them."""
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(_beside(0.0), place, one_line(group.name), fontsize=SIZE + 0.5, weight="bold", **beside)
    place += _heading_rows(group) - 1
    if group.remark:
        axes.text(
            _beside(0.0), place, _shortened(group.remark, LONGEST_REMARK), fontsize=SMALL, style="italic", **beside
        )
    axes.text(_beside(1.0), place, one_line(group.detail), fontsize=SMALL, style="italic", ha="right", **beside)
    below = place + len(group.lines) + 0.5
    axes.vlines(0, place + 0.5, below, color=colors.get(INK, INK), linewidth=1.0, zorder=1)
    for number, line in enumerate(group.lines, start=1):
        _draw_line(axes, forest, line, place + number, colors)
    return below + 0.5


def _heading_rows(group: ForestGroup) -> int:
    """Return how many rows a group's name, its remark and its costs take: two where one would be too long."""
    return 2 if group.remark or (group.detail and len(group.name) > LONGEST_NAME) else 1


def _beside(share: float) -> float:
    """Return a share of the figure's width in units of the axes' width."""
    inset = 0.012 if share == 0 else -0.012
    return (share + inset - LEFT) / (RIGHT - LEFT)


def _draw_line(axes: "Axes", forest: Forest, line: ForestLine, place: float, colors: dict[str, str]) -> None:
    """Draw a difference: its label, its interval, its mark, and its numbers."""
    color = COLORS[forest.judge(line)]
    color = colors.get(color, color)
    weight = "bold" if line.pooled else "normal"
    beside: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "fontsize": SMALL,
        "weight": weight,
    }
    axes.text(_beside(0.0) + 0.03, place, _shortened(line.label), **beside)
    axes.text(_beside(1.0), place, _numbers(line), ha="right", **beside)
    if line.prediction:
        axes.plot(line.prediction, (place, place), color=color, linewidth=1.0, linestyle=(0, (1.5, 1.5)), zorder=2)
    if line.interval:
        _draw_interval(axes, forest, line, place, color)
    if line.pooled:
        axes.plot(line.mean, place, "D", color=color, markersize=6.5, zorder=4)
    else:
        size = 3.5 + 4.0 * line.weight**0.5
        face = color if line.interval else "none"
        axes.plot(line.mean, place, "s", color=color, markerfacecolor=face, markersize=size, zorder=4)


def _draw_interval(axes: "Axes", forest: Forest, line: ForestLine, place: float, color: str) -> None:
    """Draw an interval, with an arrow at an end that the plot cuts."""
    if line.interval is None:
        return
    left, right = forest.limits()
    low, high = max(line.interval[0], left), min(line.interval[1], right)
    axes.plot((low, high), (place, place), color=color, linewidth=2.6 if line.pooled else 1.5, zorder=3,
              solid_capstyle="butt")  # fmt: skip
    for cut, end, mark in ((line.interval[0] < left, low, "<"), (line.interval[1] > right, high, ">")):
        if cut:
            axes.plot(end, place, mark, color=color, markersize=5, clip_on=False, zorder=4)


def _shortened(label: str, longest: int = LONGEST) -> str:
    text = one_line(label)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _numbers(line: ForestLine) -> str:
    """Write a difference and its interval with one decimal."""
    return signed_with_interval(line.mean, line.interval, decimals=1)
