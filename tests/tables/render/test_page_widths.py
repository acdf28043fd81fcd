"""What pages show on a desktop and on a phone: no column is cut off at 1200 pixels, and differences are seen at 500.

The pages are those of made-up tables, with all columns that there can be, and of every table that is kept.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.tables.build_report import build_report
from attnbench.tables.render import html
from tests.tables.render.browser import frames, needs_chromium, told_by
from tests.tables.render.made_up import inputs_of

REPOSITORY = Path(__file__).parents[3]
KEPT = {
    path.parent.relative_to(REPOSITORY / "outputs" / "reproduced").as_posix(): path
    for path in sorted((REPOSITORY / "outputs" / "reproduced").rglob("table.html"))
}
MADE_UP = ("bam/3b", "bam/1a", "gated/2")
WIDE, NARROW = 1200, 500
LOOK = """
addEventListener("load", () => setTimeout(() => {
  document.body.dataset.told = JSON.stringify([...document.querySelectorAll("iframe")].map((frame) => {
    const { documentElement, body } = frame.contentDocument;
    const table = frame.contentDocument.getElementById("table");
    const scroll = table.parentElement;
    const shown = [...table.querySelectorAll("thead [data-key]")].filter((heading) => !heading.hidden);
    frame.contentDocument.querySelectorAll("details").forEach((part) => { part.open = true; });
    const right = (element) => element.getBoundingClientRect().right;
    const outside = [...body.querySelectorAll("*")].filter((element) => !element.closest(".scroll, svg")
      && element.offsetWidth > 0 && right(element) > documentElement.clientWidth + 1);
    return {
      kinds: shown.map((heading) => heading.dataset.kind),
      inSight: shown.filter((heading) => right(heading) <= right(scroll) + 1).map((heading) => heading.dataset.kind),
      outside: outside.map((element) => element.outerHTML.slice(0, 80)),
    };
  }));
}, 500));
"""
Looks = dict[tuple[str, int], dict[str, Any]]


def made_up_page(name: str) -> str:
    return html.render(replace(build_report(inputs_of(name)), plots=()))


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """Look at all pages at once, as Chromium takes longer to start than to show them."""
    pages = {name: made_up_page(name) for name in MADE_UP}
    pages |= {name: path.read_text(encoding="utf-8") for name, path in KEPT.items()}
    told = told_by(frames(list(pages.values()), (WIDE, NARROW)), LOOK, tmp_path_factory.mktemp("pages"))
    return dict(zip(((name, width) for name in pages for width in (WIDE, NARROW)), told, strict=True))


@needs_chromium
@pytest.mark.parametrize("name", [*MADE_UP, *KEPT])
def test_no_column_is_cut_off_on_a_desktop(name: str, looks: Looks) -> None:
    look = looks[name, WIDE]
    assert look["inSight"] == look["kinds"]
    assert look["outside"] == []
    assert "measured" not in look["kinds"]


@needs_chromium
@pytest.mark.parametrize("name", [*MADE_UP, *KEPT])
def test_differences_are_seen_on_a_phone(name: str, looks: Looks) -> None:
    """Of many columns of results the first has its difference in sight, and the others are reached by scrolling."""
    wide, narrow = looks[name, WIDE]["kinds"], looks[name, NARROW]
    for kind in ("last", "difference", "printed"):
        assert narrow["kinds"].count(kind) == wide.count(kind)
    assert "difference" in narrow["inSight"] or "difference" not in wide
    assert narrow["outside"] == []


@needs_chromium
@pytest.mark.parametrize("name", MADE_UP)
def test_a_narrow_page_leaves_out_costs_before_differences(name: str, looks: Looks) -> None:
    assert {"last", "difference", "printed"} <= set(looks[name, WIDE]["kinds"])
    assert not {"best", "cost", "printed-cost", "measured"} & set(looks[name, NARROW]["kinds"])
