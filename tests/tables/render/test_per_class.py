"""The section on classes: closed parts with readable text, small enough for many classes."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attnbench.tables.render import html
from attnbench.tables.results.class_results import ClassResults
from attnbench.tables.results.per_class import McNemar
from tests.tables.render.reports import PLAIN
from tests.tables.render.test_html import PageReader

pytestmark = pytest.mark.smoke


def results(classes: int, title: str = "ResNet + BAM", baseline: str = "ResNet") -> ClassResults:
    """Class 0 is always right, the last one never; the others are confused with their neighbour once in four times."""
    confusion = 0.75 * np.eye(classes) + 0.25 * np.roll(np.eye(classes), 1, 1)
    confusion[0], confusion[-1] = np.eye(classes)[0], np.eye(classes)[0]
    names = tuple(f"<c{number}>" for number in range(classes))
    tests = {0: McNemar(12, 3, 0.0352), 1: McNemar(99, 3, 1e-20)}
    return ClassResults(
        title, baseline, names, (0, 1), confusion.diagonal(), confusion, {0: 0.04, 1: 0.06}, tests if baseline else {}
    )


def page(*found: ClassResults) -> str:
    return html.render(replace(PLAIN, per_class=found))


def test_a_page_without_predictions_has_no_such_section() -> None:
    assert "per-class" not in page()


def test_each_row_is_closed_and_says_its_range() -> None:
    read = PageReader(page(results(4, baseline=""), results(4)))
    assert read.open == []
    assert [tag for tag, attributes in read.attributes if tag == "details" and "open" not in attributes] == [
        "details"
    ] * 2
    assert read.all("summary") == ["ResNet + BAM"] * 2
    assert "2 seeds · from 0.0 % (<c3>) to 100.0 % (<c0>) · calibration error 5.00 ± 1.41 %" in read.all("span")


def test_few_classes_have_their_bars_and_cells() -> None:
    read = PageReader(page(results(4)))
    assert read.all("b") == ["100.0", "75.0", "75.0", "0.0"]
    cells = [text for text in read.all("td") if text]
    assert cells[:8] == ["0", "12", "3", "0.035", "1", "99", "3", "< 0.0001"]
    assert cells[8:] == ["100.0", "75.0", "25.0", "75.0", "25.0", "100.0"]
    assert {"only this row", "only ResNet"} <= set(read.all("th"))


def test_many_classes_are_an_image_and_named_pairs() -> None:
    text = page(results(100))
    read = PageReader(text)
    assert read.all("b") == ["0.0", *["75.0"] * 8, "100.0"]
    (data,) = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        alpha = np.asarray(image)[..., 3]
    assert alpha.shape == (100, 100)
    assert (alpha[0, 0], alpha[5, 6], alpha[6, 5]) == (255, 128, 0)  # the root of a quarter is a half
    pairs = [item for item in read.all("li") if " as " in item]
    assert (pairs[0], len(pairs)) == ("<c99> as <c0>: 100.0 %", 10)
    assert len(text) - len(page()) < 20_000


def test_what_is_not_known_is_a_dash_or_a_sentence() -> None:
    accuracy = np.array([np.nan, 0.5, 1])
    text = page(replace(results(3), accuracy=accuracy, confusion=None, calibration_errors={}))
    read = PageReader(text)
    assert read.all("b") == ["–", "50.0", "100.0"]
    assert "Confusions of this many classes are shown where the runs are at hand." in read.all("p")
    assert any("from 50.0 % (<c1>) to 100.0 % (<c2>) · calibration error –" in text for text in read.all("span"))
