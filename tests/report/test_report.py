"""attnbench report from the outside: the table by effect, what rows open, and mistakes in one line."""

import csv
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.report.rows import forest_of, rows_of
from attnbench.runs.explanation_entry import ExplanationEntry, Mean
from attnbench.runs.explanations import OF_TABLES, keep_explanation, read_explanations
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.tables.build_report import build_report
from attnbench.tables.compare_runs import compare_runs, inputs_of_runs
from tests.report.made_up import EVIL, write_runs

ACCURACIES = {"none": [0.80, 0.81, 0.82], "bam": [0.50, 0.51, 0.52], "se": [0.95, 0.951, 0.952], "eca": [0.83]}
"""`se` is better than `none`, `bam` worse, and `eca` has a single seed."""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, and with their report in `site`."""
    folder = tmp_path_factory.mktemp("reported")
    for attention, accuracies in ACCURACIES.items():
        write_runs(attention, accuracies, output=folder / "outputs")
    assert main(["report", f"{folder}/outputs/runs/*", "--to", f"{folder}/site"]) == 0
    return folder


@pytest.fixture
def page(there: Path) -> str:
    return (there / "site/index.html").read_text()


def row(page: str, key: str) -> str:
    """A row and what it opens."""
    found = re.search(
        rf'<tr data-key="{key}".*?</tr>\n<tr class="opened" hidden>.*?(?=\n<tr data-key|\n</tbody>)', page, re.DOTALL
    )
    assert found
    return found[0]


def test_rows_are_in_the_order_of_their_effect_with_the_numbers_of_the_table(there: Path, page: str) -> None:
    assert re.findall(r'<tr data-key="(\w+)"', page) == ["se", "eca", "none", "bam"]
    report = compare_runs(find_runs(there / "outputs"), None, None, "top1_accuracy", "t")
    for line in report.lines:
        texts = [cell.text for cell in line.cells if cell.text not in ("–", "same")]
        shown = unescape(re.sub(r"<[^>]*>", "", row(page, line.key)))
        assert all(text in shown for text in texts)
    rows = list(csv.DictReader((there / "site/table.csv").read_text().splitlines()))
    assert [line["row"] for line in rows] == ["se", "eca", "none", "bam"]
    assert {path.name for path in (there / "site").iterdir()} == {
        "index.html", "report.json", "table.csv", "table.md", "table.tex"
    }  # fmt: skip


def test_with_errors_the_smallest_is_first() -> None:
    write_runs("none", [0.8, 0.81])
    write_runs("se", [0.9, 0.91])
    inputs = inputs_of_runs(find_runs(Path("outputs")), None, None, "top1_error")
    rows = rows_of(inputs, build_report(inputs))
    assert [row.key for row in rows] == ["se", "none"]
    forest = forest_of(inputs, rows)
    assert forest and forest.better == "left"


def test_with_scores_of_maps_of_which_less_is_better_the_smallest_is_first() -> None:
    for attention, deletion in {"none": 0.4, "se": 0.3}.items():
        write_runs(attention, [0.8, 0.81])
        for run in Path("outputs/runs").glob(f"*-{attention}/seed*"):
            keep_deletion(RunFolder(run), deletion)
    inputs = inputs_of_runs(find_runs(Path("outputs")), None, None, "deletion")
    rows = rows_of(inputs, build_report(inputs))
    assert [row.key for row in rows] == ["se", "none"]
    forest = forest_of(inputs, rows)
    assert forest and forest.better == "left"


def keep_deletion(run: RunFolder, deletion: float) -> None:
    """Keep an explanation of a run beside it, with this score of its first map."""
    name = "cam/gradcam/final"
    entry = ExplanationEntry(
        checkpoint="last", images=500, pick="random", seed=0, explained_class="true", methods=["gradcam"],
        layers=[name], thresholds="test", maps={name: {"deletion": Mean(deletion, None, None, 500)}}, version="0",
        written="2026-01-01T00:00:00",
    )  # fmt: skip
    keep_explanation(run, OF_TABLES.key, entry)


def test_a_row_opens_the_scores_of_its_maps_of_the_images_that_most_runs_share() -> None:
    write_runs("none", [0.8, 0.9])
    write_runs("bam", [0.8, 0.9])
    first, second = find_runs(Path("outputs"))[:2]
    for run, deletion in ((first, 0.2), (second, 0.4)):
        keep_deletion(run, deletion)
    keep_explanation(first, "of more images", replace(read_explanations(first)[OF_TABLES.key], images=1000))
    assert main(["report", "outputs/runs/*"]) == 0
    page = Path("outputs/report/index.html").read_text()
    explained, other = row(page, first.path.parent.name.split("-")[2]), row(page, "none")
    assert '<th scope="row">cam/gradcam/final</th><td>30.00 ± 14.14</td>' in explained
    assert "In per cent, means over 500 test images of 2 seeds." in explained
    assert "Scores of its maps" not in other


def test_a_row_opens_command_verdict_options_seeds_and_classes(page: str) -> None:
    bam, se, none = (row(page, key) for key in ("bam", "se", "none"))
    command = "attnbench train -m attention=bam data=digits backbone.width=4 seed=0,1,2"
    assert f"<code>{command}</code>" in bam
    assert "✗ worse" in bam and "✓ better" in se and "? not decided" in row(page, "eca")
    assert '<tr><th scope="row">attention</th><td>none</td><td>bam</td></tr>' in bam
    assert bam.count("<circle") == 6 and none.count("<circle") == 3
    assert "Against none" not in none
    assert "confusions" in none.lower()
    assert all('class="curve"' in one for one in (bam, se, none))
    assert "to 51.0 % in 4 epochs" in bam


def test_the_page_is_self_contained_and_names_are_escaped(page: str) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert set(re.findall(r"https?:[^\"' <]*", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|url\((?!#)|fetch\(", page)
    assert EVIL not in page and "\u202e" not in page
    assert page.count("</script>") == 1
    assert "&lt;/script&gt;&lt;b onclick=alert(1)&gt;" in page


def test_runs_without_a_baseline_are_in_the_order_of_their_means(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("bam", [0.5, 0.6])
    write_runs("se", [0.9, 0.8])
    assert main(["report", "outputs/runs/*"]) == 0
    assert capsys.readouterr().out == "2 rows of 4 runs: outputs/report/index.html\n"
    text = Path("outputs/report/index.html").read_text()
    assert re.findall(r'<tr data-key="(\w+)"', text) == ["se", "bam"]
    assert "Against" not in text
    assert json.loads(Path("outputs/report/report.json").read_text())["runs"][0] == "digits-resnet20-bam-bam/seed0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["outputs/runs/*", "--images", "3"], "--images 3: needs --explain"),
        (["outputs/runs/*", "--explain", "--images", "0"], "--images 0: must be at least 1"),
        (["outputs/runs/*", "--metric", "accuracy"], "--metric accuracy: no such metric"),
        (["outputs/runs/*", "--rows", "nothing"], "--rows nothing: no run has such a key"),
        (["outputs/runs/*", "--tu", "site"], "--tu: no such flag; did you mean --to?"),
        (
            ["outputs/runs/*", "recipe.lr=1"],
            "recipe.lr=1: attnbench report takes no overrides but data.root and output",
        ),
        (["outputs/runs/*", "--to", "outputs"], "--to outputs: the folder holds something else than a report"),
        (["nowhere"], "nowhere: no such run"),
        ([], "name a run"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("none", [0.8])
    assert main(["report", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("outputs/report").exists()


def test_rows_that_cannot_be_explained_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("none", [0.8])
    assert main(["report", "outputs/runs/*", "--to", "site", "--explain"]) == 0
    assert "all runs: not explained: " in capsys.readouterr().err
    assert "<h3>What it sees</h3><p>" in Path("site/index.html").read_text()
