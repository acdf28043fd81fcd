"""Tables in terminals of every width."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from attnbench.tables.render.terminal import group_lines, parts, show
from attnbench.tables.report import Cell, Heading, Line, Report
from tests.tables.render.sheets import HEADINGS, LINES, SHEET


def printed(sheet: Report, width: int, color: bool = False) -> str:
    console = Console(width=width, highlight=False, force_terminal=color, color_system="standard" if color else None)
    with console.capture() as capture:
        show(console, sheet)
    return capture.get()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_too_long_and_no_number_is_cut(width: int) -> None:
    text = printed(SHEET, width)
    assert max(map(cell_len, text.splitlines())) <= width
    for line in LINES:
        for cell in line.cells[1:]:
            assert cell.text in text
    for part in (*SHEET.notes, *SHEET.remarks, SHEET.source, *(f"{v.says} {v.told}" for v in SHEET.verdicts)):
        assert all(word in text for word in part.split())


def test_a_console_narrower_than_a_number_gets_it_whole() -> None:
    text = printed(SHEET, 20)
    assert "10.05 ± 12.50" in text
    assert "36.50 M" in text


def test_numbers_stand_below_each_other() -> None:
    text = printed(SHEET, 200)
    assert len({line.index("±") for line in text.splitlines() if re.search(r"(6\.30|5\.90|10\.05) ±", line)}) == 1
    row = {line.split()[0]: line for line in text.splitlines() if line.startswith(("ResNet-50 ", "GGAM"))}
    assert row["GGAM"].index("19.75") == row["ResNet-50"].index("20.00")  # the one with marks is the last of its name


def test_groups_stay_together_where_they_fit() -> None:
    headings = [Heading("a", "a"), Heading("b", "b", "g"), Heading("c", "c", "g"), Heading("d", "d", "h")]
    assert parts(headings, [10, 10, 10, 10], 100) == [[0, 1, 2, 3]]
    assert parts(headings, [10, 10, 10, 10], 35) == [[0, 1, 2], [0, 3]]
    assert parts(headings, [10, 10, 10, 10], 25) == [[0, 1], [0, 2], [0, 3]]
    assert parts(headings, [10, 10, 10, 10], 5) == [[0, 1], [0, 2], [0, 3]]
    assert parts(headings[:1], [10], 5) == [[0]]


def test_a_groups_heading_spans_its_columns() -> None:
    headings = [Heading("a", "a"), Heading("b", "b", "two words"), Heading("c", "c", "two words"), Heading("d", "d")]
    assert group_lines(headings, [3, 2, 3, 1]) == [
        "       two     ",
        "      words    ",
        "     ───────   ",
    ]


def test_a_groups_heading_widens_no_column_of_several() -> None:
    headings = (Heading("a", "a"), Heading("b", "ours", "multiply-adds"), Heading("c", "paper", "multiply-adds"))
    text = printed(Report("t", headings, (Line("x", (Cell("x"), Cell("1.22G"), Cell("1.2G"))),)), 80)
    assert {len(line.strip()) for line in text.splitlines() if "─" in line} == {13, 17}
    assert "multiply-adds" in text


def test_best_cells_are_bold_and_verdicts_coloured() -> None:
    text = printed(SHEET, 200, color=True)
    assert re.search(r"\x1b\[1m *5\.90 ± 0\.12", text)
    assert not re.search(r"\x1b\[1m *6\.30", text)
    assert "\x1b[32mholds" in text
    assert "\x1b[31mdoes not hold" in text


def test_what_looks_like_markup_is_text() -> None:
    sheet = Report("[bold]x[/bold]", HEADINGS[:1], (Line("a", (Cell("[red]a[/red] [/]"),), "[x]"),), remarks=("[/y]",))
    text = printed(sheet, 80)
    for part in ("[bold]x[/bold]", "[red]a[/red] [/]", "[x]", "[/y]"):
        assert part in text


def test_a_table_without_rows_or_results() -> None:
    assert "parameters" in printed(replace(SHEET, lines=()), 80)
    assert "model" in printed(replace(SHEET, headings=HEADINGS[:1], lines=()), 80)


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: f"{x:.3f} ± 0.25"), min_size=1, max_size=9),
    st.integers(30, 130),
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60),
)
def test_every_number_is_whole_at_every_width(numbers: list[str], width: int, label: str) -> None:
    headings = (Heading("name", "name", align="left"), *(Heading(str(n), label, "group") for n in range(len(numbers))))
    sheet = Report("t", headings, (Line("a", (Cell(label), *map(Cell, numbers))),))
    text = printed(sheet, width)
    assert all(number in text for number in numbers)
