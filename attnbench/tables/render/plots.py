"""Plots as SVG for an HTML page, byte for byte reproducible, in the colours that the page sets for light and dark."""

import re
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from attnbench.tables.render.layout import one_line
from attnbench.tables.render.plot_labels import label_ends, label_lines, label_points
from attnbench.tables.report import Curve, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito, 2008
INK, FAINT = "#010101", "#020202"  # placeholders of the page's colours
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":")
WIDTH, HEIGHT = 5.8, 3.7  # inches of 72 points
LARGE = 1e5  # from here on, values of x have a unit prefix: 25M
FEW_TICKS = 5  # of costs
FEW = 8  # up to this number, all values of x are ticks of a logarithmic axis
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "attnbench",
    "text.parse_math": False,
    "figure.dpi": 72,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)"} | {
    color: f"var(--series-{n})" for n, color in enumerate(SERIES, start=1)
}


def svg(plot: Plot, name: str) -> str:
    """Render a plot as an SVG element.

    Args:
        plot: not empty.
        name: prefix of the element's ids, different for each plot of a page.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()  # the user's settings have no effect
        mpl.rcParams.update(SETTINGS)
        return _inline(_draw(plot), name, plot)


def is_empty(plot: Plot) -> bool:
    """Return whether there is nothing to draw."""
    return not any(curve.x for curve in plot.curves)


def _draw(plot: Plot) -> str:
    """Draw a plot and return its SVG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure = Figure(figsize=(WIDTH, _height(plot)))
    FigureCanvasAgg(figure)  # measures text
    axes = figure.add_axes((0.12, 0.14, 0.85, 0.83))
    axes.set_axisbelow(True)
    curves = [curve for curve in plot.curves if curve.x]
    axes.set_xlabel(one_line(plot.x_label))
    axes.set_ylabel(one_line(plot.y_label))
    values = sorted({x for curve in curves for x in curve.x})
    if plot.log_x:
        _logarithmic(axes, values)
    if max(map(abs, values)) >= LARGE:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    elif plot.log_x:
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    elif plot.kind == "scatter":  # costs that are nearly equal have long numbers
        axes.xaxis.set_major_locator(MaxNLocator(FEW_TICKS))
        axes.ticklabel_format(axis="x", useOffset=False)
    elif all(x == round(x) for x in values):
        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if plot.log_x and plot.kind == "curve" and len(values) <= FEW:
        axes.set_xticks(values)
    (_scatter if plot.kind == "scatter" else _curves)(axes, curves)
    text = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return text.getvalue()


def _height(plot: Plot) -> float:
    """Return a height in inches that has room for the lines of all labels below each other."""
    return max(HEIGHT, 1.0 + sum(0.2 * label_lines(curve) for curve in plot.curves))


def _logarithmic(axes: "Axes", values: Sequence[float]) -> None:
    """Scale x logarithmically; if a value is 0 (of λ, say), linearly below the smallest other value."""
    from matplotlib.ticker import LogLocator, NullLocator

    if values[0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if values[-1] < 300 * values[0] else (1.0,)))
    else:
        axes.set_xscale("symlog", linthresh=min((abs(x) for x in values if x), default=1.0), linscale=0.5)
    axes.xaxis.set_minor_locator(NullLocator())


def _looks(curves: Sequence[Curve]) -> Iterator[tuple[Curve, str, str, str]]:
    """Yield curves with a colour, a marker and a dash pattern, which together distinguish more series."""
    for n, curve in enumerate(curves):
        yield curve, SERIES[n % len(SERIES)], MARKERS[n % len(MARKERS)], DASHES[n // len(SERIES) % len(DASHES)]


def _curves(axes: "Axes", curves: Sequence[Curve]) -> None:
    """Draw lines with their bands, each labelled at its end."""
    for curve, color, marker, dash in _looks(curves):
        few = len(curve.x) <= 2 * FEW
        axes.plot(curve.x, curve.y, color=color, marker=marker if few else "", linestyle=dash)
        if curve.low and curve.high:
            axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.18, linewidth=0)
    label_ends(axes, [(curve, color) for curve, color, _, _ in _looks(curves)])


def _scatter(axes: "Axes", curves: Sequence[Curve]) -> None:
    """Draw points with their whiskers, each labelled beside it."""
    for curve, color, marker, _ in _looks(curves):
        if curve.low and curve.high:
            axes.vlines(curve.x, curve.low, curve.high, color=color, linewidth=1.2)
        axes.plot(curve.x, curve.y, color=color, marker=marker, linestyle="", markersize=7)
    axes.margins(0.12)
    label_points(axes, [(curve, color) for curve, color, _, _ in _looks(curves)])


def _inline(text: str, name: str, plot: Plot) -> str:
    return inline_svg(text, name, f"{one_line(plot.title)}: {one_line(plot.y_label)} over {one_line(plot.x_label)}")


def inline_svg(text: str, name: str, label: str) -> str:
    """Return the SVG element of a file, with unique ids, the page's colours, and a label for screen readers."""
    from html import escape

    text = text[text.index("<svg") :].strip()
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: VARIABLES.get(found[0], found[0]), text)
    text = re.sub(r' width="[^"]*pt" height="[^"]*pt"', "", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
