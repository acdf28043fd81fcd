"""The HTML page: its content, that it is self-contained, and that Chromium sorts its table."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from attnbench.tables.build_report import build_report
from attnbench.tables.render import html
from attnbench.tables.report import Cell, ClaimResult, Heading, Line, Report
from tests.tables.render.browser import after, needs_chromium, told_by
from tests.tables.render.made_up import inputs_of
from tests.tables.render.reports import LINES, PLAIN, REPORT

VOID = {"meta", "input", "br", "img"}


class PageReader(HTMLParser):
    """Reads a page: its elements, and the text in each value of the table and in some other elements."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            named = dict(attrs).get("class")
            self.texts.append((named if named in ("value", "rest") else tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.texts.append(("after", ""))

    def handle_data(self, data: str) -> None:
        tag, before = self.texts.pop() if self.texts else ("", "")
        self.texts.append((tag, before + data))

    def all(self, name: str) -> list[str]:
        return [text for tag, text in self.texts if tag == name]


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(TEXT, TEXT)
@example('"><script>alert(1)</script>', "</script><!-- $title ${x} $ & &amp; '\"")
def test_text_is_read_back_as_it_was(label: str, text: str) -> None:
    cells = (Cell(text), Cell(text, 1.0, {label or "n": text}, best=True, marks=(1,)))
    report = Report(label, (Heading(label, label), Heading("b", text, label)), (Line(text, cells, text),), label)
    page = PageReader(
        html.render(replace(report, notes=(text,), remarks=(label,), claims=(ClaimResult(text, "supported", label),)))
    )
    assert page.open == []
    assert page.all("title") == [label]
    assert page.all("h1") == [label]
    assert page.all("value") == [text, text]
    assert page.all("button") == [label, text]
    assert page.all("script") == PageReader(html.render(PLAIN)).all("script")
    assert [a["data-key"] for tag, a in page.attributes if tag == "tr" and "data-key" in a] == [text]


def test_the_page_is_self_contained_and_ids_are_unique() -> None:
    page = PageReader(html.render(REPORT))
    assert not {"link", "img", "iframe", "base"} & {tag for tag, _ in page.attributes}
    addresses = [
        a[key] or "" for _, a in page.attributes for key in ("src", "href", "xlink:href", "action") if key in a
    ]
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert not re.search(r"@import|url\((?!#)", html.render(REPORT))
    ids = [a["id"] for _, a in page.attributes if "id" in a]
    assert len(ids) == len(set(ids))
    assert {address.removeprefix("#") for address in addresses} <= set(ids)


def test_parts_that_a_report_does_not_have_are_not_in_the_page() -> None:
    page = html.render(replace(PLAIN, lines=(Line("a", (Cell("a"), Cell("b"))),)))
    for part in ("<svg", 'class="notes"', 'class="claims"', "show-details", 'keep-sections" ', "Source", "tr class"):
        assert part not in page.split("<script>")[0].split("</style>")[1]


SORTABLE = replace(
    PLAIN,
    lines=(
        Line("ten", (Cell("b10"), Cell("10.0", 10.0)), "one"),
        Line("none", (Cell("–"), Cell("–")), "one"),
        Line("nine", (Cell("B9"), Cell("9.00", 9.0)), "one"),
        Line("least", (Cell("a"), Cell("-1e3", -1e3)), "two"),
        Line("most", (Cell("c"), Cell("20", 20.0)), "two"),
    ),
)


STEPS: list[tuple[str, list[str], list[str]]] = [
    ("", ["(one)", "ten", "none", "nine", "(two)", "least", "most"], ["none", "none"]),
    ("[data-key=c10] button", ["(one)", "nine", "ten", "none", "(two)", "least", "most"], ["none", "ascending"]),
    ("[data-key=c10] button", ["(one)", "ten", "nine", "none", "(two)", "most", "least"], ["none", "descending"]),
    ("#keep-sections", ["most", "ten", "nine", "least", "none"], ["none", "descending"]),
    ("[data-key=c10] button", ["(one)", "ten", "none", "nine", "(two)", "least", "most"], ["none", "none"]),
    ("[data-key=c10] button", ["least", "nine", "ten", "most", "none"], ["none", "ascending"]),
    ("[data-key=label] button", ["least", "nine", "ten", "most", "none"], ["ascending", "none"]),
    ("[data-key=label] button", ["most", "ten", "nine", "least", "none"], ["descending", "none"]),
    ("#keep-sections", ["(one)", "ten", "nine", "none", "(two)", "most", "least"], ["descending", "none"]),
    ("[data-key=c10] button", ["(one)", "nine", "ten", "none", "(two)", "least", "most"], ["none", "ascending"]),
]
"""The pressed element, then the rows and sections from top to bottom, and the order that the headings show."""
PRESS = """
const told = STEPS.map((step) => {
  if (step) document.querySelector(step).click();
  const rows = [...document.querySelectorAll("tbody tr")].map((row) => row.dataset.key ?? `(${row.innerText})`);
  return [rows, [...document.querySelectorAll("[aria-sort]")].map((heading) => heading.getAttribute("aria-sort"))];
});
document.body.dataset.told = JSON.stringify(told);
"""


@needs_chromium
def test_chromium_sorts(own_folder: Path) -> None:
    steps = json.dumps([step for step, _, _ in STEPS])
    told = told_by(html.render(SORTABLE), PRESS.replace("STEPS", steps))
    for (step, rows, sorts), found in zip(STEPS, told, strict=True):
        assert found == [rows, sorts], step


@needs_chromium
def test_chromium_shows_the_whole_page_without_an_error(own_folder: Path) -> None:
    tell = "document.body.dataset.height = document.querySelector('svg').getBoundingClientRect().height;"
    wide = "document.body.dataset.wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;"
    page = after(html.render(REPORT), tell + wide + "document.getElementById('show-details').click();")
    assert len(re.findall(r"<tr data-key", page)) == len(LINES)
    assert re.search(r'<table [^>]*class="[^"]*detailed', page)
    assert float(re.findall(r'data-height="([\d.]+)"', page)[0]) > 100
    assert 'data-wide="false"' in page


SCROLLED = """
addEventListener("load", () => setTimeout(() => {
  document.querySelectorAll(".switches input:not(:checked)").forEach((box) => box.click());
  const [table, edge] = [document.getElementById("table"), document.querySelector(".scroll")];
  edge.scrollLeft = 1e6;
  const left = (cell) => Math.round(cell.getBoundingClientRect().left - edge.getBoundingClientRect().left);
  const cells = [...table.querySelectorAll("tr:not(.section) > :first-child")];
  const onTop = cells.every((cell) => {
    cell.scrollIntoView({ inline: "nearest" });
    const { left, top } = cell.getBoundingClientRect();
    return cell.contains(document.elementFromPoint(left + 2, top + 2));
  });
  edge.scrollLeft = 1e6;
  const last = table.querySelector("thead tr:last-child > :last-child").getBoundingClientRect().right;
  document.body.dataset.told = JSON.stringify({
    scrolled: edge.scrollLeft > 0, lefts: [...new Set(cells.map(left))], onTop,
    lastShown: last <= edge.getBoundingClientRect().right + 1,
  });
}, 500));
"""


@needs_chromium
def test_the_first_column_stays_in_sight_of_a_page_that_scrolls(own_folder: Path) -> None:
    told = told_by(html.render(build_report(inputs_of("gated/2"))), SCROLLED)
    assert told == {"scrolled": True, "lefts": [0], "onTop": True, "lastShown": True}
