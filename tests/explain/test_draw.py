"""Pictures: aligned panels of one size, text inside the picture, one scale for all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from attnbench.explain import Explanation, cells, draw, explain
from attnbench.explain.cells import Scale, common_scales
from attnbench.explain.draw import MOST, draw_comparison, drawn_panels
from attnbench.explain.panels import Floats, Mark, Panel
from attnbench.overlay import overlaid
from tests.explain.networks import images, network

BOXES = np.array([[2, 3, 10, 12], [np.nan] * 4, [0, 0, 24, 24]], np.float32)
LONG = [f"Black_footed_Albatross_of_kind_{number}" for number in range(10)]


def explained(attention: str, *options: str, height: int = 24, width: int = 24) -> Explanation:
    net = network(f"attention={attention}", *options)
    return explain(
        net, images(height=height, width=width), labels=[0, 1, 2], boxes=BOXES, classes=LONG, name=f"{attention} seed0"
    )


def overlapping(figure: Figure) -> list[str]:
    """Return texts that leave the figure or overlap another one."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    frame = figure.bbox
    texts = [text for text in figure.texts if text.get_text()]
    extents = [text.get_window_extent(renderer) for text in texts]
    bad = [
        text.get_text()
        for text, box in zip(texts, extents, strict=True)
        if not frame.padded(1).fully_containsx(box.x0)
        or not frame.padded(1).fully_containsx(box.x1)
        or box.y0 < -1
        or box.y1 > frame.y1 + 1
    ]
    for number, box in enumerate(extents):
        bad += [texts[number].get_text() for other in extents[:number] if box.padded(-1).overlaps(other.padded(-1))]
    return bad


@pytest.mark.parametrize(
    "attention",
    ["gated", "ggam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bam", "residual", "none"))],
)
def test_panels_are_aligned_and_no_text_is_cut_off(attention: str) -> None:
    options = ["attention.reduction=2"] if attention in ("bam", "ggam") else []
    found = explained(attention, *options, width=32)
    figure = draw(found)
    assert overlapping(figure) == []
    places = [axes.get_position() for axes in figure.axes]
    rows = {round(place.y0, 4) for place in places if place.height > 0.03}
    assert len(rows) == len(found)


def test_a_comparison_has_a_column_for_each_network_and_one_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges: list[tuple[float, float]] = []

    def noted(picture: Floats, values: Floats, low: float, high: float, colours: str) -> Floats:
        ranges.append((low, high))
        return overlaid(picture, values, low, high, colours)

    monkeypatch.setattr(cells, "overlaid", noted)
    several = [explained("none"), explained("bam", "attention.reduction=2"), explained("gated")]
    figure = draw(several, tmp_path / "new" / "all.png")
    assert overlapping(figure) == []
    assert len(ranges) == 9
    assert len(set(ranges)) == 1
    with Image.open(tmp_path / "new" / "all.png") as image:
        assert min(image.size) > 300


def test_shares_are_multiples_of_a_uniform_map() -> None:
    panel = Panel("T", "T", np.array([[[1, 3]], [[0, 0]]], np.float32), "share")
    assert panel.shown.tolist() == [[[0.5, 1.5]], [[0, 0]]]
    assert common_scales([panel], rows=2)["share"] == Scale(0, 1.5)


def test_of_many_panels_those_of_each_stages_last_block_are_drawn() -> None:
    found = explained("bam", "attention.reduction=2", "attention.placement=block")
    assert len(found.panels) > MOST
    names = [panel.name for panel in drawn_panels(found)]
    assert len(names) <= MOST
    assert {name.split("/")[0] for name in names if name[:3] != "cam"} == {
        f"stage{stage}.block2.out" for stage in (1, 2, 3)
    }


def test_a_comparison_draws_each_networks_own_detections() -> None:
    """In the first row: the object in all columns, and the first network's detection over its own map alone."""
    found = explained("none")
    detection = Mark(np.array([4, 4, 9, 9], np.float32), words="a 0.90")
    figure = draw_comparison([replace(found, detected=((detection,), (), ())), found], rows=1)
    image, first, second = figure.axes[-3:]
    assert [len(axes.patches) for axes in (image, first, second)] == [1, 2, 1]
    assert not image.texts or all("a 0.90" not in text.get_text() for text in image.texts)
