"""The part of an HTML page on classes: accuracies, confusions, calibration and McNemar's test of each row."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from attnbench.formatting import spread
from attnbench.tables.render.page import image_address
from attnbench.tables.report import NOTHING
from attnbench.tables.results.class_results import ClassResults
from attnbench.tables.results.per_class import BINS, Fractions, McNemar

FEW_CLASSES = 20
"""Up to this number, every class has its bar and every confusion its cell."""
ENDS, PAIRS = 5, 10
"""Classes named at either end, and pairs of classes that are confused most, where there are many."""
BLUE = (0x2B, 0x7F, 0xB0)
STYLES = Path(__file__).with_name("per_class.css")
INTRODUCTION = (
    "Of the last epoch, on the test images, as the mean over seeds. McNemar's test compares two runs with the same seed"
    " on the images that only one of them classifies correctly. It says whether these two networks differ, not whether"
    " the methods do, which the intervals over seeds in the table say."
)


def per_class(results: Sequence[ClassResults]) -> str:
    """Render the section with one part for each row, closed until it is pressed; empty without results."""
    if not results:
        return ""
    parts = "\n".join(map(_details, results))
    heading = "<h2>Classes, confusions and calibration</h2>"
    return f'<section class="per-class">{heading}\n<p>{escape(INTRODUCTION)}</p>\n{parts}</section>'


def _details(one: ClassResults) -> str:
    summary = f"{escape(one.title)}<span>{escape(_summary(one))}</span>"
    return f"<details><summary>{summary}</summary>\n{panels(one)}</details>"


def panels(one: ClassResults) -> str:
    """Render the accuracies, confusions, calibration and tests of a row."""
    parts = f"<div>{_accuracies(one)}\n{_tests(one)}</div>\n<div>{_confusions(one)}</div>"
    return f'<div class="panels">{parts}</div>'


def _summary(one: ClassResults) -> str:
    """Return what the closed part says: number of seeds, range over classes, calibration."""
    seeds = f"{len(one.seeds)} seed{'s' * (len(one.seeds) > 1)}"
    known = np.flatnonzero(~np.isnan(one.accuracy))
    order = known[np.argsort(one.accuracy[known], kind="stable")]
    span = [f"{_percent(one.accuracy[number])} % ({one.classes[number]})" for number in (order[0], order[-1])]
    return f"{seeds} · from {span[0]} to {span[1]} · calibration error {_calibration(one)}"


def _calibration(one: ClassResults) -> str:
    """Return the calibration error, mean ± standard deviation over seeds, in per cent."""
    return f"{spread(list(one.calibration_errors.values()))} %" if one.calibration_errors else NOTHING


def _accuracies(one: ClassResults) -> str:
    """Return bars of all classes, or a curve of many classes with those at its ends."""
    heading = "<h3>Accuracy of each class (%)</h3>"
    if len(one.classes) <= FEW_CLASSES:
        return heading + _bars(one, range(len(one.classes)))
    order = np.argsort(one.accuracy, kind="stable")
    order = order[~np.isnan(one.accuracy[order])]
    lowest, highest = order[:ENDS].tolist(), order[-ENDS:].tolist()
    return heading + _curve(one.accuracy[order]) + _bars(one, lowest) + "<p>…</p>" + _bars(one, highest)


def _bars(one: ClassResults, numbers: Sequence[int]) -> str:
    items = (
        f'<li>{escape(one.classes[number])}<i style="--share:{_percent(one.accuracy[number])}%"></i>'
        f"<b>{_percent(one.accuracy[number])}</b></li>"
        for number in numbers
    )
    return f'<ul class="bars">{"".join(items)}</ul>'


def _curve(accuracies: Fractions) -> str:
    """Return bars of classes in the order of their accuracy, as one path."""
    bars = "".join(f"M{n} 40V{40 - 40 * share:.1f}h1V40z" for n, share in enumerate(accuracies))
    label = f"accuracies of {len(accuracies)} classes in ascending order"
    box = f'viewBox="0 0 {len(accuracies)} 40" preserveAspectRatio="none" style="height:5rem"'
    return f'<svg role="img" aria-label="{label}" {box}><path d="{bars}" style="fill:var(--series-1)"/></svg>'


def _confusions(one: ClassResults) -> str:
    """Return the confusions as a table or, of many classes, as an image with the pairs that are confused most."""
    if one.confusion is None:
        return "<p>Confusions of this many classes are shown where the runs are at hand.</p>"
    heading = "<h3>Confusions (% of the true class in the row, predicted as the column)</h3>"
    if len(one.classes) <= FEW_CLASSES:
        return heading + _table(one.classes, one.confusion)
    image = f'<img src="{_image(one.confusion)}" alt="confusions of {len(one.classes)} classes">'
    pairs = "".join(f"<li>{escape(text)}</li>" for text in _most_confused(one.classes, one.confusion))
    return f"{heading}{image}<p>Most confused:</p><ul>{pairs}</ul>"


def _table(classes: Sequence[str], confusion: Fractions) -> str:
    headings = "".join(f"<th>{escape(name)}</th>" for name in classes)
    rows = (
        f"<tr><th>{escape(name)}</th>{''.join(map(_cell, shares))}</tr>"
        for name, shares in zip(classes, confusion, strict=True)
    )
    table = f'<table class="confusions"><tr><th></th>{headings}</tr>{"".join(rows)}</table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Confusions">{table}</div>'


def _cell(share: float) -> str:
    if math.isnan(share) or round(share, 3) == 0:
        return "<td></td>"
    return f'<td style="--share:{share:.2f}">{_percent(share)}</td>'


def _image(confusion: Fractions) -> str:
    """Return the confusions (L, L) as the address of a PNG, a pixel for each pair; the root shows small shares too."""
    from PIL import Image

    alpha = np.sqrt(np.nan_to_num(confusion))
    pixels = np.empty((*confusion.shape, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = BLUE, np.round(255 * alpha)
    return image_address(Image.fromarray(pixels))


def _most_confused(classes: Sequence[str], confusion: Fractions) -> Iterator[str]:
    """Yield the pairs of different classes with the largest shares, in words."""
    others = np.nan_to_num(confusion)
    np.fill_diagonal(others, 0)
    for place in np.argsort(-others, axis=None, kind="stable")[:PAIRS]:
        true, predicted = divmod(int(place), len(classes))
        if others[true, predicted] > 0:
            yield f"{classes[true]} as {classes[predicted]}: {_percent(others[true, predicted])} %"


def _tests(one: ClassResults) -> str:
    """Return the calibration error and McNemar's tests by seed."""
    error = f"<h3>Calibration</h3><p>Expected calibration error, {BINS} bins: {_calibration(one)}</p>"
    if not one.tests:
        return error
    rows = "".join(_test(seed, test) for seed, test in one.tests.items())
    headings = f"<tr><th>seed</th><th>only this row</th><th>only {escape(one.baseline)}</th><th>p</th></tr>"
    return f"{error}<h3>McNemar's test: images classified correctly by</h3><table>{headings}{rows}</table>"


def _test(seed: int, test: McNemar) -> str:
    p = "< 0.0001" if test.p < 1e-4 else f"{test.p:.2g}"
    return f"<tr><td>{seed}</td><td>{test.only_first}</td><td>{test.only_second}</td><td>{escape(p)}</td></tr>"


def _percent(share: float) -> str:
    return NOTHING if math.isnan(share) else f"{100 * share:.1f}"
