"""The gallery and the report in a real browser: filtered, stepped through, blended, sorted, opened and copied from."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
else:
    Browser = Page = Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]
SMALL = ("data=cluttered_digits", "data.train_images=600", "data.validation=100", "data.test_images=200")
RUNS = {"none": (), "bam": ("attention.reduction=2",)}
IMAGES = 6
WIDTHS = (1920, 1280, 500)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the gallery of two runs and a report of four, with explanations."""
    folder = tmp_path_factory.mktemp("written")
    output = folder / "outputs"
    for attention, options in RUNS.items():
        for seed in range(2):
            words = [*TINY, *SMALL, f"attention={attention}", *options, f"seed={seed}", f"output={output}"]
            train(plan(compose(words)))
    first = [str(next((output / "runs").glob(f"*-{attention}-*")) / "seed0") for attention in RUNS]
    assert main(["explain", *first, "--images", str(IMAGES), "--to", str(folder)]) == 0
    names = [f"output={output}", f"{output}/runs/*", "--explain", "--images", str(IMAGES)]
    assert main(["report", *names, "--to", str(folder / "site")]) == 0
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, timeout=120_000, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which an error makes the test fail; a request for anything but the file itself is one."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(120_000)  # a busy machine is slow
    opened, complaints = context.new_page(), list[str]()
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    yield opened
    context.close()
    assert complaints == []


def position(page: Page) -> str:
    return page.locator(".viewer output:visible").inner_text()


def check_width(page: Page, width: int) -> None:
    """Check that nothing is cut off: the page is not wider than its window."""
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_gallery_is_used(written: Path, page: Page) -> None:
    page.goto((written / "comparison.html").as_uri())
    assert position(page) == f"1 of {IMAGES}"
    page.keyboard.press("ArrowRight")
    assert position(page) == f"2 of {IMAGES}"
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    assert position(page) == f"{IMAGES} of {IMAGES}"
    page.locator(".strip button").nth(2).click()
    assert position(page) == f"3 of {IMAGES}"
    for width in WIDTHS:
        check_width(page, width)


def test_images_are_filtered(written: Path, page: Page) -> None:
    page.goto((written / "comparison.html").as_uri())
    answer, label = page.locator("select[name=answer]"), page.locator("select[name=class]")
    counts = []
    for kind in ("right", "wrong", "mixed"):
        answer.select_option(kind)
        shown = position(page)
        counts.append(0 if shown == "no such image" else int(shown.split(" of ")[1]))
        assert page.locator(f".strip .{kind}").count() == counts[-1] == page.locator(".strip button").count()
    assert sum(counts) == IMAGES
    answer.select_option("")
    options = label.locator("option").all_inner_texts()[1:]
    for number, text in enumerate(options, 1):
        label.select_option(index=number)
        name, count = text.removesuffix(")").split(" (")
        assert position(page).endswith(f" of {count}")
        assert page.locator(".input figcaption").inner_text() == f"true: {name}"


def test_maps_are_filtered_and_blended(written: Path, page: Page) -> None:
    page.goto((written / "comparison.html").as_uri())
    titles = page.locator(".runs h4")
    everything = titles.count()
    page.locator("select[name=method]").select_option("Grad-CAM")
    assert all(title.startswith("Grad-CAM") for title in titles.all_inner_texts())
    page.locator("select[name=place]").select_option("final")
    assert titles.all_inner_texts() == ["Grad-CAM\nfinal"] * len(RUNS)
    page.locator("select[name=method]").select_option("attention")
    assert page.locator(".runs section p").all_inner_texts() == ["This run has no such map."] * len(RUNS)
    for name in ("method", "place"):
        page.locator(f"select[name={name}]").select_option("")
    assert titles.count() == everything > len(RUNS)
    canvas, slider = page.locator("canvas").first, page.locator("input[name=blend]")
    assert canvas.evaluate("(canvas) => getComputedStyle(canvas).opacity") == "0.75"
    box = slider.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert canvas.evaluate("(canvas) => getComputedStyle(canvas).opacity") == "1"
    page.keyboard.press("ArrowRight")  # after the mouse, arrows are for images again
    assert position(page) == f"2 of {IMAGES}"
    colours = "(canvas) => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    assert page.locator("canvas").first.evaluate(colours) > 10


def test_the_report_is_used(written: Path, page: Page) -> None:
    page.goto((written / "site" / "index.html").as_uri())
    rows = page.locator("#table tr[data-key]")
    assert rows.count() == len(RUNS)
    bam = page.locator("#table tr[data-key^=bam]")
    below = page.locator("#table tr[data-key^=bam] + tr.opened")
    assert below.is_hidden()
    bam.locator("th").click()
    assert below.is_visible()
    command = below.locator("code").inner_text()
    below.locator(".command button").click()
    page.wait_for_function("document.querySelector('tr[data-key^=bam] + tr .command button').textContent === 'copied'")
    assert page.evaluate("navigator.clipboard.readText()") == command
    assert command.startswith("attnbench train -m attention=bam") and command.endswith("seed=0,1")
    below.locator(".viewer").scroll_into_view_if_needed()
    page.wait_for_selector(".viewer output")
    page.keyboard.press("ArrowRight")
    assert position(page) == f"2 of {IMAGES}"
    page.locator("[data-key=row] button").click()
    page.locator("[data-key=row] button").click()
    assert rows.first.get_attribute("data-key") == "none"
    assert below.is_visible()
    bam.locator("th").focus()
    page.keyboard.press("Enter")
    assert below.is_hidden()


def test_no_column_of_the_report_is_cut_off(written: Path, page: Page) -> None:
    page.goto((written / "site" / "index.html").as_uri())
    page.locator("#table tr[data-key^=bam] th").click()
    fits = "document.getElementById('table').offsetWidth <= document.querySelector('.scroll').clientWidth"
    for width in WIDTHS:
        check_width(page, width)
        assert page.evaluate(fits)
    sticky = "getComputedStyle(document.querySelector('#table tbody th[scope=row]')).position"
    assert page.evaluate(sticky) == "sticky"
