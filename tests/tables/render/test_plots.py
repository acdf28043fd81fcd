"""Plots: the same bytes each time, in the page's colours, with labels that do not cover each other."""

import os
import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from attnbench.tables.render import html
from attnbench.tables.render.plot_labels import label_ends, label_points, spread
from attnbench.tables.render.plots import is_empty, svg
from attnbench.tables.report import Curve, Plot
from tests.tables.render.reports import LAMBDAS, PLAIN, PLOTS

ROOT = Path(__file__).parents[3]
TEXT = "{http://www.w3.org/2000/svg}text"


def texts(drawing: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(drawing).iter(TEXT)]


def test_it_is_the_same_in_another_process_whatever_its_settings(own_folder: Path) -> None:
    Path("matplotlibrc").write_text("lines.linewidth: 9\nsvg.fonttype: path\nfont.size: 30\n")
    code = "import sys; from tests.tables.render.reports import PLOTS; from attnbench.tables.render.plots import svg\n"
    code += "sys.stdout.reconfigure(encoding='utf-8'); print(svg(PLOTS[1], 'p'))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.fspath(ROOT)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment)
    assert result.stdout == f"{svg(PLOTS[1], 'p')}\n"


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.title)
def test_it_holds_its_text_as_text_and_only_the_pages_colours(plot: Plot) -> None:
    drawing = svg(plot, "name")
    said = " ".join(texts(drawing))
    for curve in plot.curves:
        assert all(word in said for word in curve.label.split())
    assert plot.x_label in said
    assert plot.y_label in said
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b(?=[;\"])", drawing.replace('href="#name', ""))
    assert all(name.startswith("name-") for name in re.findall(r'\bid="([^"]*)"', drawing))
    assert "metadata" not in drawing


def test_a_logarithmic_axis_names_its_values_and_has_a_place_for_0() -> None:
    assert {"0", "0.1", "0.5", "1", "3"} <= set(texts(svg(PLOTS[0], "a")))
    positive = Plot("t", "x", "y", (Curve("c", LAMBDAS[1:], (1.0, 2.0, 3.0, 4.0)),), log_x=True)
    assert {"0.1", "0.5", "1", "3"} <= set(texts(svg(positive, "a")))
    nothing = Plot("t", "x", "y", (Curve("c", (0.0,), (1.0,)),), log_x=True)
    assert "0" in texts(svg(nothing, "a"))


def test_dollars_and_signs_are_text() -> None:
    label = "$x_1$ <b> & 100%"
    plot = Plot("t", label, label, (Curve(label, (1.0, 2.0), (1.0, 2.0)),))
    assert texts(svg(plot, "a")).count(label) == 3


def test_an_empty_plot_is_left_out() -> None:
    empty = Plot("nothing yet", "x", "y", (Curve("c", (), ()),))
    assert is_empty(empty)
    assert not is_empty(PLOTS[0])
    some = Plot("some", "x", "y", (Curve("c", (), ()), Curve("d", (1.0,), (2.0,))), kind="scatter")
    page = html.render(type(PLAIN)("t", PLAIN.headings, (), plots=(empty, some)))
    assert page.count("<svg") == 1
    assert "nothing yet" not in page


@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(1, 20)), min_size=1, max_size=5))
def test_labels_are_spread_without_overlap_and_in_order(wanted: list[tuple[float, float]]) -> None:
    positions, heights = zip(*wanted, strict=True)
    found = spread(positions, heights, 0.0, 100.0)
    ends = sorted((middle - height / 2, middle + height / 2) for middle, height in zip(found, heights, strict=True))
    assert ends[0][0] >= -1e-9
    assert ends[-1][1] <= 100 + 1e-9
    assert all(low[1] <= high[0] + 1e-9 for low, high in pairwise(ends))
    order = sorted(range(len(wanted)), key=lambda n: positions[n])
    assert sorted(found) == [found[n] for n in order]


def test_labels_stay_where_they_are_wanted_if_they_can() -> None:
    assert spread([20.0, 80.0, 50.0], [10.0, 10.0, 10.0], 0.0, 100.0) == [20.0, 80.0, 50.0]


def overlapping(labels: list[Annotation]) -> int:
    boxes = [label.get_window_extent().padded(-0.01) for label in labels if label.get_text()]
    return sum(Bbox.intersection(a, b) is not None for a, b in combinations(boxes, 2))


def figure() -> Figure:
    drawing = Figure(figsize=(6, 4), dpi=72)
    FigureCanvasAgg(drawing)
    return drawing


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0)])
def test_points_in_a_crowd_are_labelled_apart_and_inside(place: tuple[float, float]) -> None:
    axes = figure().add_axes((0.1, 0.1, 0.85, 0.85))
    x, y = place
    curves = [Curve(f"network {n}", (x + n / 200,), (y + n / 300,)) for n in range(6)]
    axes.plot([0, 1], [0, 1], linestyle="")
    label_points(axes, [(curve, "black") for curve in curves])
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    assert overlapping(labels) == 0
    area = axes.get_window_extent().padded(1)
    for label in labels:
        box = label.get_window_extent()
        assert not label.get_text() or (area.contains(box.x0, box.y0) and area.contains(box.x1, box.y1))


def test_curves_that_end_together_are_labelled_apart_and_inside() -> None:
    drawing = figure()
    axes = drawing.add_axes((0.1, 0.1, 0.85, 0.85))
    curves = [Curve(f"a network with a long name {n}", (0.0, 1.0), (float(n), 0.0)) for n in range(6)]
    for curve in curves:
        axes.plot(curve.x, curve.y)
    label_ends(axes, [(curve, "black") for curve in curves])
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    assert overlapping(labels) == 0
    assert max(label.get_window_extent().x1 for label in labels) <= drawing.bbox.x1


def test_matplotlib_is_imported_for_plots_alone() -> None:
    code = "import sys; from attnbench.tables.render import FORMATS; from tests.tables.render.reports import PLAIN\n"
    code += "[render(PLAIN) for render in FORMATS.values()]; print('matplotlib' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert result.stdout == "False\n"


def test_the_ticks_of_nearly_equal_costs_stay_apart() -> None:
    points = tuple(Curve(f"net {n}", (2.01 + n * 0.0004,), (90.0 + n,)) for n in range(4))
    labels = texts(svg(Plot("t", "multiply-adds (M)", "top-1 accuracy (%)", points, "scatter"), "x"))
    ticks = [text for text in labels if re.fullmatch(r"2\.\d+", text)]
    assert 2 <= len(ticks) <= 6
    assert len(set(ticks)) == len(ticks)
    assert not any("e" in text and text[0] in "+−-" for text in labels)  # no offset that readers have to add
