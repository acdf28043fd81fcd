"""The gallery: what a viewer gets to show, harmless whatever names say, in a page that needs nothing else."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.explain import Explanation, explain, gallery
from attnbench.explain.draw import scales_of
from attnbench.explain.gallery import viewer, write_gallery
from attnbench.explain.panels import Mark
from attnbench.plain_text import plain
from tests.explain.networks import images, network

EVIL = "</script><img src=x onerror=alert(1)>\u202egpj.\x1b[2J"
CLASSES = [EVIL, *map(str, range(1, 10))]
BOXES = np.array([[6, 3, 12, 24], [np.nan] * 4, [0, 0, 24, 24]], np.float32)


def explained(*overrides: str, size: int = 24) -> Explanation:
    net, shape = network(*overrides), {"height": size, "width": size}
    return explain(net, images(**shape), labels=[0, 1, 2], boxes=BOXES, classes=CLASSES, target="true", name=EVIL)


def content(*several: Explanation) -> dict[str, Any]:
    """What the viewer's script reads."""
    text = re.fullmatch(r'<div class="viewer"><script type="application/json">(.*)</script></div>',
                        viewer(several, scales_of(several)))  # fmt: skip
    assert text and "<" not in text[1]
    return dict(json.loads(text[1]))


def unpacked(panel: dict[str, Any]) -> "np.ndarray":
    steps = np.frombuffer(base64.b64decode(panel["values"]), "<u2").reshape(-1, *panel["shape"])
    return panel["low"] + steps * (panel["high"] - panel["low"]) / 65535


@pytest.mark.parametrize("overrides", [("attention=bam", "attention.reduction=2"), ("attention=gated",)])
def test_a_viewer_gets_all_values_within_a_step(overrides: tuple[str, ...]) -> None:
    found = explained(*overrides)
    (run,) = content(found)["runs"]
    for panel, shown in zip(found.panels, run["panels"], strict=True):
        step = (shown["high"] - shown["low"]) / 65535
        assert np.abs(unpacked(shown) - panel.shown).max() <= 0.51 * step + 1e-6
        assert (shown["title"], shown["unit"]) == (panel.title, panel.unit)
        assert shown["captions"] == [plain(caption) for caption in panel.captions]


def test_images_can_be_filtered_by_class_answer_method_and_place() -> None:
    plain, bam = explained("attention=none"), explained("attention=bam", "attention.reduction=2")
    shown = content(plain, bam)
    assert [image["label"] for image in shown["images"]] == [0, 1, 2]
    assert [image["class"] for image in shown["images"]][1:] == ["1", "2"]
    assert [run["predicted"] for run in shown["runs"]] == [plain.predicted.tolist(), bam.predicted.tolist()]
    places = [[(panel["method"], panel["place"]) for panel in run["panels"]] for run in shown["runs"]]
    assert places[0] == [("Grad-CAM", "final")]
    assert places[1][:2] == [("Grad-CAM", "final"), ("Grad-CAM", "attention")]
    assert set(places[1][2:]) == {("attention", "stage1.out"), ("attention", "stage2.out")}


def test_all_runs_have_one_scale_and_boxes_are_fractions() -> None:
    several = [explained("attention=none"), explained("attention=bam", "attention.reduction=2")]
    shown, scales = content(*several), scales_of(several)
    assert {unit: (scale["low"], scale["high"]) for unit, scale in shown["scales"].items()} == {
        unit: (scale.low, scale.high) for unit, scale in scales.items()
    }
    edges = [[box["edges"] for box in image["boxes"]] for image in shown["images"]]
    assert edges == [[[0.25, 0.125, 0.5, 1.0]], [], [[0, 0, 1, 1]]]
    assert len(base64.b64decode(shown["scales"]["evidence"]["colours"])) == 3 * 256


def test_what_a_network_detects_is_over_its_own_maps() -> None:
    found = explained("attention=none")
    marks = [(Mark(np.array([0, 0, 12, 24], np.float32), words=word),) for word in "abc"]
    shown = content(replace(found, detected=tuple(marks)), found)
    assert [image["boxes"] for image in shown["images"]] == [image["boxes"] for image in content(found)["images"]]
    assert [[len(boxes) for boxes in run["boxes"]] for run in shown["runs"]] == [[1, 1, 1], [0, 0, 0]]
    assert shown["runs"][0]["boxes"][2][0]["edges"] == [0, 0, 0.5, 1]


def test_names_of_strangers_are_harmless() -> None:
    shown = content(explained("attention=none"))
    assert shown["images"][0]["class"] == r"</script><img src=x onerror=alert(1)>\u202egpj.\x1b[2J"
    assert shown["runs"][0]["name"] == shown["images"][0]["class"]


@pytest.mark.parametrize(("size", "form"), [(24, "png"), (72, "jpeg")])
def test_the_page_needs_nothing_else(own_folder: Path, size: int, form: str) -> None:
    found = explained("attention=none", size=size)
    write_gallery(own_folder / "new" / "page.html", [found], scales_of([found]))
    page = (own_folder / "new" / "page.html").read_text()
    assert set(re.findall(r"https?:[^\"' ]*", page)) <= {"http://www.w3.org/2000/svg"}  # the name of SVG's elements
    assert not re.search(r"<link|<iframe|@import|url\(|fetch\(|import\(|<script[^>]*src|<img", page)
    sources = [image["source"] for image in content(found)["images"]]
    assert all(source.startswith(f"data:image/{form};base64,") for source in sources)
    assert "\u202e" not in page and "\x1b" not in page


def test_of_many_images_the_first_are_shown(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setattr(gallery, "MOST_IMAGES", 2)
    found = replace(explained("attention=none"), name="plain")
    write_gallery(Path("page.html"), [found], scales_of([found]))
    assert "<h1>plain · the first 2 of 3 images</h1>" in Path("page.html").read_text()
    shown = content(found)
    assert [len(shown["images"]), len(shown["runs"][0]["captions"]), len(unpacked(shown["runs"][0]["panels"][0]))] == [
        2, 2, 2
    ]  # fmt: skip
