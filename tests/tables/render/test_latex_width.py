"""Tables in LaTeX fit a page, by the metrics of the fonts."""

from pathlib import Path

import pytest

from attnbench.tables.build_report import build_report
from attnbench.tables.columns import shown_columns
from attnbench.tables.render import latex
from attnbench.tables.render.latex_layout import LINE, fit
from attnbench.tables.render.latex_width import _GROUPS, text_width
from attnbench.tables.spec.load import table_files
from tests.tables.render.latex_measure import letter, tabulars, width
from tests.tables.render.made_up import inputs_of
from tests.tables.render.reports import PLAIN, REPORT

KEPT = sorted((Path(__file__).parents[3] / "outputs" / "reproduced").glob("*/*/*/table.tex"))


def check_fits(source: str) -> int:
    """Check every table of the source; returns how many there are."""
    found = list(tabulars(source))
    for tabular, scale, separation in found:
        assert tabular.total(scale, separation) <= LINE + 0.01
        assert tabular.too_long_words(scale) == []
    return len(found)


def test_letters_are_no_wider_than_estimated() -> None:
    other_fonts = "–°\u00a0\u2011γρδσαβλ−±×·≥≤≈≠Δ" + '<>\\_{}|"^~`'
    letters = [sign for signs in _GROUPS.values() for sign in signs if sign not in other_fonts + " "]
    assert len(letters) > 70
    for sign in letters:
        assert letter(sign) <= text_width(sign) <= letter(sign) + 0.15


@pytest.mark.parametrize(
    ("profile", "has_runs"), [("paper", True), pytest.param("quick", True, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", table_files())
def test_papers_tables_fit_a_line(name: str, profile: str, has_runs: bool) -> None:
    report = build_report(inputs_of(name, profile, has_runs))
    assert check_fits(latex.render(report)) >= 1


@pytest.mark.parametrize("path", KEPT, ids=lambda path: "/".join(path.parts[-4:-1]))
def test_kept_tables_fit_a_line(path: Path) -> None:
    assert check_fits(path.read_text(encoding="utf-8")) >= 1


def test_the_layout_knows_how_wide_a_table_becomes() -> None:
    for report in (REPORT, PLAIN, build_report(inputs_of("bam/3a"))):
        layout = fit(shown_columns(report))
        found = [tabular.total(scale, separation) for tabular, scale, separation in tabulars(latex.render(report))]
        estimates = [layout.total(part) for part in layout.parts]
        for measured, estimate in zip(found, estimates, strict=True):
            assert 0.85 * estimate <= measured <= estimate + 0.01


def test_a_table_that_is_too_wide_would_be_noticed() -> None:
    report = build_report(inputs_of("gated/fig4e"))
    (tabular, scale, separation), *_ = tabulars(latex.render(report).replace("}pt}", "pt}"))
    assert tabular.total(2 * scale, separation) > LINE
    assert width(r"\textbf{21.49} & \textsuperscript{1,3}") > width("21.49")
