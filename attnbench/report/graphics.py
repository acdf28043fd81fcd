"""Small graphics of a row, as SVG in the page's colours: its learning curve, and a dot for each seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from attnbench.tables.report import Curve

WIDTH, HEIGHT, LANE, LABELS = 110, 28, 26, 18
"""Units of a learning curve's sides, of a lane of dots, and of the numbers below them."""
LONG = 360
"""Units of the width of dots."""


@dataclass(frozen=True)
class Seeds:
    """The values of a row's runs.

    Attributes:
        label: of the row.
        values: by seed.
        mean: of the values; None without any.
        interval: of the mean; None where it is not known.
    """

    label: str
    values: dict[int, float]
    mean: float | None
    interval: tuple[float, float] | None = None


def learning_curve_svg(curve: Curve, last_epoch: float, span: tuple[float, float]) -> str:
    """Draw a learning curve with its band.

    Args:
        curve: in per cent, by epoch.
        last_epoch: the right end of the axis; the left one is the first epoch.
        span: lowest and highest value of the axis.
    """

    def points(values: Sequence[float]) -> list[str]:
        x = (WIDTH * (epoch - 1) / max(last_epoch - 1, 1) for epoch in curve.x)
        return [f"{left:.1f} {_share(value, span, HEIGHT):.1f}" for left, value in zip(x, values, strict=True)]

    band = (
        f'<path class="band" d="M{"L".join([*points(curve.high), *reversed(points(curve.low))])}z"/>'
        if curve.low
        else ""
    )
    about = f"from {curve.y[0]:.1f} to {curve.y[-1]:.1f} % in {curve.x[-1]:g} epochs"
    line = f'<path class="line" d="M{"L".join(points(curve.y))}"/>'
    box = f'class="curve" viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}"'
    return f'<svg role="img" aria-label="{escape(about)}" {box}><title>{escape(about)}</title>{band}{line}</svg>'


def _share(value: float, span: tuple[float, float], height: float) -> float:
    """Return the distance of a value from the upper end of an axis."""
    low, high = span
    return height * (high - value) / max(high - low, 1e-9)


def span_of(values: Iterable[float]) -> tuple[float, float]:
    """Return the ends of an axis: the lowest and the highest value."""
    known = list(values)
    return (min(known), max(known)) if known else (0.0, 100.0)


def seeds_svg(lanes: Sequence[Seeds]) -> str:
    """Draw a dot for each seed in a lane for each row, with the mean and its interval.

    Args:
        lanes: from top to bottom; the first is the row's own.
    """
    span = span_of(value for lane in lanes for value in (*lane.values.values(), *(lane.interval or ())))
    height = LANE * len(lanes) + LABELS
    drawn = "".join(_lane(lane, number, span) for number, lane in enumerate(lanes))
    axis = f'<path class="axis" d="M0 {height - LABELS}H{LONG}"/>'
    ends = (
        f'<text x="{x}" y="{height - 4}" text-anchor="{anchor}">{value:.2f}</text>'
        for x, anchor, value in ((0, "start", span[0]), (LONG, "end", span[1]))
    )
    about = "; ".join(f"{lane.label}: {', '.join(f'{value:.2f}' for value in lane.values.values())}" for lane in lanes)
    box = f'class="seeds" viewBox="-6 0 {LONG + 12} {height}" style="max-width: {LONG + 12}px"'
    return f'<svg role="img" aria-label="{escape(about)}" {box}>{axis}{"".join(ends)}{drawn}</svg>'


def _lane(lane: Seeds, number: int, span: tuple[float, float]) -> str:
    """Draw a lane: the interval as a line, the mean as a stroke, the seeds as dots."""
    y = LANE * (number + 0.5)
    x = [LONG - _share(value, span, LONG) for value in lane.values.values()]
    label = escape(lane.label)
    dots = "".join(
        f'<circle cx="{left:.1f}" cy="{y}" r="4.5"><title>{label}, seed {seed}: {value:.2f}</title></circle>'
        for left, (seed, value) in zip(x, lane.values.items(), strict=True)
    )
    mean = "" if lane.mean is None else f"M{LONG - _share(lane.mean, span, LONG):.1f} {y - 9}v18"
    ends = [LONG - _share(end, span, LONG) for end in lane.interval or ()]
    interval = f"M{ends[0]:.1f} {y}H{ends[1]:.1f}" if ends else ""
    return f'<g class="{"own" if number == 0 else "other"}"><path d="{interval}{mean}"/>{dots}</g>'
