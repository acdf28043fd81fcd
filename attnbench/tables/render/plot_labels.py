"""Labels in a plot, beside their curves and points without covering each other."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from attnbench.tables.render.layout import one_line
from attnbench.tables.report import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

WRAPPED = 20  # characters in a line of a label
GAP = 8.0  # points between a label and its end of a curve


def label_lines(curve: Curve) -> int:
    """Return the number of lines of a curve's label."""
    return _wrapped(curve).count("\n") + 1


def label_ends(axes: "Axes", labelled: Sequence[tuple[Curve, str]]) -> None:
    """Label curves to the right of their last points, below each other."""
    axes.autoscale_view()  # else the limits are found when it is drawn
    labels = [_label(axes, curve, len(curve.x) - 1, (GAP, 0.0), color) for curve, color in labelled]
    boxes = [label.get_window_extent() for label in labels]
    _make_room(axes, max(box.width for box in boxes))
    points = [axes.transData.transform((curve.x[-1], curve.y[-1])) for curve, _ in labelled]
    right = max(point[0] for point in points)
    area = axes.get_window_extent()
    middles = spread([point[1] for point in points], [box.height for box in boxes], area.y0, area.y1)
    for label, point, middle in zip(labels, points, middles, strict=True):
        label.xyann = (right - point[0] + 2 * GAP, middle - point[1])
        if max(map(abs, label.xyann)) > 3 * GAP or abs(middle - point[1]) > GAP / 2:
            _lead(axes, label, label.xyann)


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Spread labels along an axis without overlap, if they fit.

    Args:
        wanted: the middle that each label should have.
        heights: of the labels.
        low: lower end of the axis.
        high: upper end of the axis.

    Returns:
        The middle of each label, in the order of the wanted ones and close to them.
    """
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    found = list(wanted)
    floor = low
    for n in order:  # up from below
        found[n] = max(found[n], floor + heights[n] / 2)
        floor = found[n] + heights[n] / 2
    ceiling = high
    for n in reversed(order):  # and down again from above
        found[n] = min(found[n], ceiling - heights[n] / 2)
        ceiling = found[n] - heights[n] / 2
    return found


def _make_room(axes: "Axes", width: float) -> None:
    """Narrow the axes so that labels of this width, in points, fit on their right."""
    box = axes.get_position()
    room = (width + 2.5 * GAP) / (axes.get_figure().get_figwidth() * 72)  # type: ignore[union-attr]
    axes.set_position((box.x0, box.y0, max(0.3, 0.99 - room - box.x0), box.height))


def label_points(axes: "Axes", labelled: Sequence[tuple[Curve, str]]) -> None:
    """Label points, each at the first free place around it; a line leads to a label that is far away."""
    axes.autoscale_view()
    area = axes.get_window_extent()
    taken = [_around(axes, curve) for curve, _ in labelled]
    for curve, color in labelled:
        label = _label(axes, curve, 0, (GAP, 0.0), color)
        best = min(_places(), key=lambda place: (_cost(label, place, taken, area), _far(place)))
        _put(label, best)
        if _far(best) > 2.5 * GAP:
            _lead(axes, label, best[:2])
        taken.append(label.get_window_extent())


def _around(axes: "Axes", curve: Curve) -> "Bbox":
    """Return the box that a point and its whiskers cover."""
    from matplotlib.transforms import Bbox

    ends = (*curve.low[:1], *curve.high[:1], curve.y[0])
    (x, low), (_, high) = axes.transData.transform([(curve.x[0], min(ends)), (curve.x[0], max(ends))])
    return Bbox([[x - 5, low - 5], [x + 5, high + 5]])


def _places() -> list[tuple[float, float, str, str]]:
    """Return offsets in points with the alignment of the label: right, left, above, below, and further away."""
    near = [(GAP, 0.0, "left", "center"), (-GAP, 0.0, "right", "center")]
    near += [(0.0, GAP, "center", "bottom"), (0.0, -GAP, "center", "top")]
    far = [
        (side * GAP * beside, level * GAP * away, "left" if side > 0 else "right", "center")
        for away in range(1, 16)
        for beside in (1.5, 5.0)
        for side in (1, -1)
        for level in (1, -1)
    ]
    return near + far


def _far(place: tuple[float, float, str, str]) -> float:
    """Return how far a label is from its point."""
    return abs(place[0]) + abs(place[1])


def _cost(label: "Annotation", place: tuple[float, float, str, str], taken: Sequence["Bbox"], area: "Bbox") -> float:
    """Return the area in square points that a label would cover of other labels, or outside the axes."""
    from matplotlib.transforms import Bbox

    _put(label, place)
    box = label.get_window_extent()
    overlaps = (Bbox.intersection(box, other) for other in taken)
    inside = Bbox.intersection(box, area)
    outside = box.width * box.height - (inside.width * inside.height if inside else 0.0)
    return sum(overlap.width * overlap.height for overlap in overlaps if overlap) + round(outside, 3)


def _put(label: "Annotation", place: tuple[float, float, str, str]) -> None:
    """Move a label."""
    x, y, horizontal, vertical = place
    label.xyann = (x, y)
    label.set(ha=horizontal, va=vertical)


def _lead(axes: "Axes", label: "Annotation", offset: tuple[float, float]) -> None:
    """Draw a line from a point to its label."""
    look = {"arrowstyle": "-", "color": label.get_color(), "linewidth": 0.8, "shrinkA": 0, "shrinkB": 3}
    start = (offset[0] - 2 if offset[0] > 0 else offset[0] + 2, offset[1])
    axes.annotate("", label.xy, start, textcoords="offset points", arrowprops=look, annotation_clip=False)


def _label(axes: "Axes", curve: Curve, point: int, offset: tuple[float, float], color: str) -> "Annotation":
    """Add a label at a point of a curve."""
    where = (curve.x[point], curve.y[point])
    return axes.annotate(
        _wrapped(curve), where, offset, textcoords="offset points", va="center", color=color, annotation_clip=False
    )


def _wrapped(curve: Curve) -> str:
    """Return a curve's label in short lines."""
    return fill(one_line(curve.label), WRAPPED)
