"""Tables in terminals of every width."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from attnbench.tables.render.terminal import show, split_columns
from attnbench.tables.report import Cell, Heading, Line, Report
from tests.tables.render.reports import HEADINGS, LINES, REPORT


def printed(report: Report, width: int, color: bool = False) -> str:
    console = Console(width=width, highlight=False, force_terminal=color, color_system="standard" if color else None)
    with console.capture() as capture:
        show(console, report)
    return capture.get()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_too_long_and_no_number_is_cut(width: int) -> None:
    text = printed(REPORT, width)
    assert max(map(cell_len, text.splitlines())) <= width
    for line in LINES:
        for cell in line.cells[1:]:
            assert cell.text in text
    for part in (*REPORT.notes, *REPORT.remarks, REPORT.source, *(f"{v.claim} {v.details}" for v in REPORT.claims)):
        assert all(word in text for word in part.split())


def test_numbers_are_whole_even_in_a_narrower_console() -> None:
    text = printed(REPORT, 20)
    assert "10.05 ± 12.50" in text
    assert "36.50 M" in text


def test_numbers_are_aligned() -> None:
    text = printed(REPORT, 200)
    assert len({line.index("±") for line in text.splitlines() if re.search(r"(6\.30|5\.90|10\.05) ±", line)}) == 1
    row = {line.split()[0]: line for line in text.splitlines() if line.startswith(("ResNet-50 ", "GGAM"))}
    assert row["GGAM"].index("19.75") == row["ResNet-50"].index("20.00")  # the one with marks is the last of its name


def test_a_wide_table_is_split_into_tables_that_each_have_the_rows_names() -> None:
    headings = [Heading("a", "name", align="left"), *(Heading(letter, letter, "group") for letter in "bcd")]
    line = Line("x", (Cell("x"), *[Cell("1234567890")] * 3))
    report = Report("t", tuple(headings), (line,))

    def columns(width: int) -> list[list[int]]:
        return split_columns(Console(width=width), report)

    assert columns(100) == [[0, 1, 2, 3]]
    assert columns(30) == [[0, 1, 2], [0, 3]]
    assert columns(20) == [[0, 1], [0, 2], [0, 3]]
    assert columns(5) == [[0, 1], [0, 2], [0, 3]]


def test_a_groups_heading_is_above_each_of_its_columns() -> None:
    headings = (Heading("a", "a"), Heading("b", "ours", "multiply-adds"), Heading("c", "paper", "multiply-adds"))
    text = printed(Report("t", headings, (Line("x", (Cell("x"), Cell("1.22G"), Cell("1.2G"))),)), 80)
    assert "multiply-adds   multiply-adds" in text


def test_best_cells_are_bold_and_outcomes_coloured() -> None:
    text = printed(REPORT, 200, color=True)
    assert re.search(r"\x1b\[1m *5\.90 ± 0\.12", text)
    assert not re.search(r"\x1b\[1m *6\.30", text)
    assert "\x1b[32msupported" in text
    assert "\x1b[31mcontradicted" in text


def test_what_looks_like_markup_is_text() -> None:
    report = Report("[bold]x[/bold]", HEADINGS[:1], (Line("a", (Cell("[red]a[/red] [/]"),), "[x]"),), remarks=("[/y]",))
    text = printed(report, 80)
    for part in ("[bold]x[/bold]", "[red]a[/red] [/]", "[x]", "[/y]"):
        assert part in text


def test_a_table_without_rows_or_results_is_printed() -> None:
    assert "parameters" in printed(replace(REPORT, lines=()), 80)
    assert "model" in printed(replace(REPORT, headings=HEADINGS[:1], lines=()), 80)


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: f"{x:.3f} ± 0.25"), min_size=1, max_size=9),
    st.integers(30, 130),
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60),
)
def test_every_number_is_whole_at_every_width(numbers: list[str], width: int, label: str) -> None:
    headings = (Heading("name", "name", align="left"), *(Heading(str(n), label, "group") for n in range(len(numbers))))
    report = Report("t", headings, (Line("a", (Cell(label), *map(Cell, numbers))),))
    text = printed(report, width)
    assert all(number in text for number in numbers)


def test_on_a_screen_the_table_stands_last() -> None:
    screen, file = printed(REPORT, 120, color=True), printed(REPORT, 120)
    last = re.sub(r"\x1b\[[\d;]*m", "", screen)
    assert last.index("Claims") < last.index("parameters")
    assert file.index("parameters") < file.index("Claims")
