"""The forest plot: its axis, its bars in characters, and the figure."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.tables.forest import Forest, ForestGroup, ForestLine
from attnbench.tables.render.forest import draw_forest, save, svg
from attnbench.tables.render.forest_text import axis, bars
from attnbench.tables.render.terminal import render
from tests.tables.pooled_lab import report_of, three_blocks

LINES = (
    ForestLine("better", 2.0, (1.0, 3.0), 0.5),
    ForestLine("unclear", 0.0, (-1.0, 1.0), 0.3),
    ForestLine("worse", -2.0, (-3.0, -1.0), 0.2),
    ForestLine("single", 1.0),
    ForestLine("pooled", 0.5, (-50.0, 51.0), 1.0, True, (-90.0, 91.0)),
)
FOREST = Forest("title", "top1 accuracy (points)", (ForestGroup("bam", LINES, "+5 % parameters"),))
NUMBER = st.floats(-100, 100)
LINE = st.builds(
    lambda center, half: ForestLine("line", center, (center - half, center + half)), NUMBER, st.floats(0.01, 1000)
)


def test_lines_are_judged_by_their_whole_interval() -> None:
    assert [FOREST.judge(line) for line in LINES] == ["better", "unclear", "worse", "unclear", "unclear"]
    assert [replace(FOREST, better="left").judge(line) for line in LINES[:3]] == ["worse", "unclear", "better"]


@given(st.lists(LINE, min_size=1, max_size=6))
def test_the_axis_shows_all_means_and_zero(lines: list[ForestLine]) -> None:
    low, high = replace(FOREST, groups=(ForestGroup("bam", tuple(lines)),)).limits()
    assert all(low < number < high for number in [0.0, *(line.mean for line in lines)])


def test_one_wide_interval_does_not_squeeze_the_others() -> None:
    low, high = FOREST.limits()
    assert (low, high) == pytest.approx((-4.4, 4.4), abs=0.5)


@given(st.lists(LINE, min_size=1, max_size=6), st.integers(25, 61))
def test_bars_have_one_width_and_show_mean_and_zero(lines: list[ForestLine], width: int) -> None:
    forest = replace(FOREST, groups=(ForestGroup("bam", tuple(lines)),))
    for bar in bars(forest, width):
        assert bar.cell_len == width
        assert bar.plain.count("●") == 1
    assert all(len(line) == width for line in axis(forest, width).plain.split("\n"))


def test_bars_look_like_their_intervals() -> None:
    assert [bar.plain for bar in bars(FOREST, 25)] == [
        "            │  ├─●──┤    ",
        "         ├──●──┤         ",
        "    ├──●─┤  │            ",
        "            │  ○         ",
        "◂════════════◆══════════▸",
    ]
    assert [str(bar.style) for bar in bars(FOREST, 25)] == ["green", "", "red", "", ""]


def test_the_axis_says_which_side_is_better() -> None:
    assert axis(FOREST, 25).plain.split("\n")[0] == "    worse ◂ │ ▸ better   "
    assert axis(replace(FOREST, better="left"), 25).plain.split("\n")[0] == "   better ◂ │ ▸ worse    "


def test_the_figure_has_a_line_and_its_numbers_for_each_difference() -> None:
    figure = draw_forest(FOREST)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in texts if text in {line.label for line in LINES}] == [line.label for line in LINES]
    assert "+2.0 [+1.0, +3.0]" in texts and "+1.0" in texts and "+5 % parameters" in texts
    assert "← worse" in texts and texts == [text.strip() for text in texts]  # a browser drops spaces at the ends
    assert figure.axes[0].get_xlim() == FOREST.limits()


def test_no_text_of_the_figure_is_cut_or_touches_another() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    long = "bam placement=bottleneck combine=auto"
    costs = "+84 % parameters, +135 % multiply-adds"
    groups = (
        ForestGroup(long, LINES, f"{costs}, 0.65× speed"),
        ForestGroup("ggam", LINES, costs, "in part minus its own head without attention"),
        *FOREST.groups,
    )
    figure = draw_forest(replace(FOREST, groups=groups))
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
    pairs = [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :]]
    assert not any(a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1 for a, b in pairs)


def test_the_page_s_plot_is_reproducible_and_has_the_page_s_colours() -> None:
    drawn = svg(FOREST, "forest")
    assert drawn == svg(FOREST, "forest")
    assert "var(--series-1)" in drawn and "var(--series-2)" in drawn and "var(--ink)" in drawn
    assert not re.search(r'id="(?!forest-)', drawn)
    assert 'aria-label="title: top1 accuracy (points)"' in drawn


def test_a_saved_picture_has_a_white_ground() -> None:
    from matplotlib.image import imread

    save(FOREST, Path("forest.png"))
    picture = imread("forest.png")
    assert picture.shape[1] == 1400
    assert picture[0, 0].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_a_report_shows_its_bars_beside_its_lines_even_in_80_columns() -> None:
    text = render(report_of(three_blocks()))
    lines = [line for line in text.splitlines() if "●" in line or "◆" in line]
    assert [line.split("  ")[0].strip() for line in lines] == [
        "resnet20 width=4", "resnet20 width=8", "resnet20 width=16", "pooled, 3 blocks [1]", "resnet20 width=4"
    ]  # fmt: skip
