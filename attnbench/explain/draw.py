"""Pictures of explanations: a sheet for each network, and one that compares several on the same images.

All panels have the same size and are aligned; colours mean the same in every picture that is made together.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.explain.cells import (
    COLOURS,
    MEANING,
    SMALL,
    Scale,
    common_scales,
    draw_bars,
    draw_map,
    draw_picture,
    highest_bar,
)
from attnbench.explain.explanation import Explanation
from attnbench.explain.panels import Mark, Panel, Unit
from attnbench.overlay import OPACITY
from attnbench.runs.figures import write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 12
"""Images on a sheet, at most."""
MOST = 18
"""Panels of an image, at most; of more, those of each stage's last block are kept."""
CELL, GAP, CAPTION, TITLE, MARGIN, FOOT = 1.25, 0.12, 0.3, 0.36, 0.15, 0.62
"""Inches: side of a panel, space between panels, height of captions and titles, margin, and room for colour bars."""
DPI = 150
"""Of a picture's file."""
CHARACTERS = 25
"""Of a caption's line."""
NAME = CHARACTERS - 8
"""Characters of a name in a caption."""


def draw(found: Explanation | Sequence[Explanation], to: str | Path | None = None, rows: int = ROWS) -> "Figure":
    """Draw one explanation as a sheet, or several of the same images side by side.

    Args:
        found: one explanation, or several.
        to: a file to write (`.png`, `.svg`, `.pdf`); none if None.
        rows: images to draw, at most.

    Returns:
        The figure; a notebook shows it.
    """
    several = [found] if isinstance(found, Explanation) else list(found)
    figure = (
        draw_sheet(several[0], scales_of(several, rows), rows) if len(several) == 1 else draw_comparison(several, rows)
    )
    if to is not None:
        write_figure(figure, Path(to), DPI)
    return figure


def scales_of(several: Sequence[Explanation], rows: int = ROWS) -> dict[Unit, Scale]:
    """Return the scales that the sheets of several explanations share."""
    return common_scales([panel for found in several for panel in drawn_panels(found)], rows)


def drawn_panels(found: Explanation) -> list[Panel]:
    """Return the panels that a sheet shows, `MOST` at most.

    If there are more, those of each stage's last block are kept, and of these the maps that summarise others first.
    """
    if len(found.panels) <= MOST:
        return list(found.panels)
    last = {_place(panel)[0]: _place(panel) for panel in found.panels}
    kept = [panel for panel in found.panels if panel in found.cams or _place(panel) == last[_place(panel)[0]]]
    first = sorted(kept, key=lambda panel: (panel not in found.cams, not panel.scored))[:MOST]
    return [panel for panel in kept if panel in first]


def _place(panel: Panel) -> tuple[str, str]:
    """Return stage and block of an attention's panel, as in `stage1.block0.out/M`."""
    stage, _, rest = panel.name.partition("/")[0].partition(".")
    return stage, rest.partition(".")[0]


def draw_sheet(found: Explanation, scales: dict[Unit, Scale], rows: int = ROWS) -> "Figure":
    """Draw one explanation: a row for each image with its class activation maps and its attention."""
    panels, shown = drawn_panels(found), min(rows, len(found))
    grid = Grid(found, shown, 1 + len(panels), scales)
    grid.title(0, "image")
    grid.heading(heading(found, shown, len(panels)))
    for index in range(shown):
        draw_picture(grid.axes(index, 0), found.pictures[index], found.marks(index))
        grid.caption(index, 0, prediction(found, index))
        for column, panel in enumerate(panels, 1):
            grid.panel(index, column, panel, highest_bar([panel], shown) if not panel.is_map else 0.0)
    for column, panel in enumerate(panels, 1):
        grid.title(column, panel.title)
    return grid.figure


def heading(found: Explanation, shown: int, panels: int) -> str:
    """Return the line above a sheet."""
    count = f"{len(found)} images" if shown == len(found) else f"{shown} of {len(found)} images"
    left_out = "" if panels == len(found.panels) else "; not all of the attention's maps"
    nothing = "" if len(found.panels) > len(found.cams) else "; the attention has no maps"
    return f"{found.name} · {count}{left_out}{nothing}"


def draw_comparison(several: Sequence[Explanation], rows: int = ROWS) -> "Figure":
    """Draw several explanations of the same images: for each, its first map (a class activation map, if there is one).

    All have the same scale. A network without any map has its predictions only.
    """
    first, shown = several[0], min(rows, len(several[0]))
    columns = [next((panel for panel in found.panels if panel.is_map), None) for found in several]
    compared = [panel for panel in columns if panel is not None]
    grid = Grid(first, shown, 1 + len(several), common_scales(compared, shown), compared)
    grid.title(0, "image")
    named = next((panel.title.partition("\n")[0] for panel in compared), "predictions")
    grid.heading(f"{named} · {shown} images")
    for index in range(shown):
        draw_picture(grid.axes(index, 0), first.pictures[index], first.objects(index))
        grid.caption(index, 0, truth(first, index))
        for column, (found, panel) in enumerate(zip(several, columns, strict=True), 1):
            if panel is None:
                draw_picture(grid.axes(index, column), found.pictures[index])
            else:
                grid.map(index, column, panel, found.marks(index))
            note = panel.captions[index] if panel is not None and panel.captions else ""
            grid.caption(index, column, f"{prediction(found, index, with_truth=False)}\n{note}".strip())
    for column, (found, panel) in enumerate(zip(several, columns, strict=True), 1):
        place = "" if panel is None else f"\nat {panel.title.partition(chr(10))[2]}"
        grid.title(column, f"{shortened(found.name, CHARACTERS)}{place}")
    return grid.figure


def prediction(found: Explanation, index: int, with_truth: bool = True, most: int = NAME) -> str:
    """Return the caption of an image: prediction, its probability, and the true class if it is another one.

    Args:
        found: the explanation.
        index: of the image.
        with_truth: whether the true class has a line of its own.
        most: characters of a class's name.
    """
    guess, label = found.predicted[index], found.labels[index]
    mark = "" if label < 0 else " ✓" if guess == label else " ✗"
    line = f"{shortened(found.classes[guess], most)} ({found.probability[index]:.2f}){mark}"
    lines = [line, truth(found, index, most)] if with_truth and label >= 0 else [line]
    if found.targets[index] not in (guess, label):
        lines[-1] += f", map: {shortened(found.classes[found.targets[index]], most)}"
    return "\n".join(lines)


def truth(found: Explanation, index: int, most: int = NAME) -> str:
    """Return the true class in words, or the image's name if it is not known; `most` as in `prediction`."""
    label = found.labels[index]
    return shortened(found.names[index], most) if label < 0 else f"true: {shortened(found.classes[label], most)}"


def shortened(text: str, most: int = NAME) -> str:
    """Return a text that fits under a panel."""
    return text if len(text) <= most else text[: most - 1] + "…"


class Grid:
    """A figure of aligned panels of one size, with titles above columns and captions under panels.

    Args:
        found: gives the images' aspect ratio.
        rows: number of images.
        columns: panels in a row.
        scales: of the colours.
        panels: of which the colour bars are drawn; those of `found` if None.
    """

    def __init__(
        self,
        found: Explanation,
        rows: int,
        columns: int,
        scales: dict[Unit, Scale],
        panels: Sequence[Panel] | None = None,
    ) -> None:
        from matplotlib.figure import Figure

        height, width = found.pictures.shape[2:]
        self.found, self.scales = found, scales
        self.cell = CELL * min(1.0, width / height), CELL * min(1.0, height / width)
        self.step = max(self.cell[0], 0.95 * CELL) + GAP, self.cell[1] + CAPTION + GAP / 2
        units = list(dict.fromkeys(panel.unit for panel in (panels or drawn_panels(found)) if panel.is_map))
        self.width = max(columns * self.step[0] + 2 * MARGIN, 2.9 * max(len(units), 1) + 0.4)
        self.height = rows * self.step[1] + TITLE + 2 * MARGIN + 0.22 + (FOOT if units else 0)
        self.left = (self.width - columns * self.step[0]) / 2
        self.figure = Figure(figsize=(self.width, self.height))
        for place, unit in enumerate(units):
            self._colour_bar(unit, (place + 0.5) / len(units))

    def _place(self, row: int, column: int) -> tuple[float, float]:
        """Return the left and the top edge of a panel, in inches from the left and from the top."""
        spare = (self.step[0] - self.cell[0]) / 2
        return self.left + column * self.step[0] + spare, MARGIN + 0.22 + TITLE + row * self.step[1]

    def axes(self, row: int, column: int, inset: float = 0.0) -> "Axes":
        """Return the axes of a panel, narrower by `inset` inches on the left."""
        (left, top), (width, height) = self._place(row, column), self.cell
        bottom = self.height - top - height
        place = ((left + inset) / self.width, bottom / self.height, (width - inset) / self.width, height / self.height)
        return self.figure.add_axes(place)

    def map(self, row: int, column: int, panel: Panel, marks: Sequence[Mark]) -> None:
        """Draw a map of one image, with what its network marks."""
        picture, scale = self.found.pictures[row], self.scales[panel.unit]
        draw_map(self.axes(row, column), panel.shown[row], panel.unit, scale, picture, marks)

    def panel(self, row: int, column: int, panel: Panel, highest: float) -> None:
        """Draw a panel of one image."""
        if panel.is_map:
            self.map(row, column, panel, self.found.marks(row))
        else:
            draw_bars(self.axes(row, column, 0 if panel.labels else 0.16), panel, row, highest)
        if panel.captions:
            self.caption(row, column, "\n".join(textwrap.wrap(panel.captions[row], CHARACTERS)[:2]))

    def title(self, column: int, text: str) -> None:
        """Write a title above a column, two lines at most."""
        left, top = self._place(0, column)
        lines = [line for part in text.split("\n") for line in textwrap.wrap(part, CHARACTERS)][:2]
        self._write(left + self.cell[0] / 2, top - 0.05, "\n".join(lines), "bottom", SMALL + 0.5)

    def caption(self, row: int, column: int, text: str) -> None:
        """Write a caption under a panel, two lines at most."""
        left, top = self._place(row, column)
        self._write(left + self.cell[0] / 2, top + self.cell[1] + 0.03, text, "top", SMALL)

    def heading(self, text: str) -> None:
        """Write the picture's heading."""
        self._write(self.width / 2, MARGIN + 0.02, text, "top", 9)

    def _write(self, x: float, y: float, text: str, vertical: str, size: float) -> None:
        place = x / self.width, 1 - y / self.height
        self.figure.text(*place, text, ha="center", va=vertical, fontsize=size, linespacing=1.1)

    def _colour_bar(self, unit: Unit, middle: float) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        scale, width = self.scales[unit], 2.4
        place = (middle - width / 2 / self.width, 0.42 / self.height, width / self.width, 0.1 / self.height)
        colours = ScalarMappable(Normalize(scale.low, scale.high), COLOURS[unit])
        bar = self.figure.colorbar(colours, cax=self.figure.add_axes(place), orientation="horizontal", alpha=OPACITY)
        bar.ax.tick_params(labelsize=SMALL, length=2, pad=1)
        bar.set_label(MEANING[unit], fontsize=SMALL, labelpad=1)
        bar.outline.set_linewidth(0.4)
