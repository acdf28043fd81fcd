"""Arbitrary text comes through Markdown, CSV and LaTeX as text."""

import csv
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from attnbench.tables.render import csv as csv_format
from attnbench.tables.render import latex, latex_text, markdown
from attnbench.tables.render.layout import one_line
from attnbench.tables.report import Cell, Heading, Line, Report
from tests.tables.render.latex_measure import columns_of
from tests.tables.render.reports import LINES, PLAIN, REPORT

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NASTY = "\\{}$&#%_^~[]*|`<>\"'-- ,, << `` –±λ\u4e2d\u014d\n\r\t"


def report_of(label: str, text: str) -> Report:
    headings = (Heading("a", label, label), Heading("b", label, label), Heading("c", label))
    return Report(label, headings, (Line(text, (Cell(text), Cell(text, best=True), Cell(text, marks=(1, 2))), label),))


@given(ANY, ANY)
@example(NASTY, NASTY)
def test_markdown_keeps_its_columns(label: str, text: str) -> None:
    table = [line for line in markdown.render(report_of(label, text)).split("\n") if line.startswith("|")]
    assert len(table) == (4 if label.strip() or label else 3)
    for line in table:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a<b & c", "a&lt;b &amp; c"),
        ("wrn28_10", "wrn28_10"),
        ("_x_ __init__", r"\_x\_ \_\_init\_\_"),
        ("*a* `b` ~c~ $d$ #1", r"\*a\* \`b\` \~c\~ \$d\$ \#1"),
        ("[a](b)\\", r"\[a\](b)\\"),
        ("two\n  lines", "two lines"),
    ],
)
def test_markdowns_signs_are_escaped(text: str, shown: str) -> None:
    assert markdown.escape(text) == shown


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def literal(tokens: Sequence[Token]) -> list[str]:
    """The texts of all blocks. Fails at anything that is no plain text, but the bold best cell and marks of notes."""
    texts = []
    for token in tokens:
        kinds = {child.type for child in token.children or ()}
        assert kinds <= {"text", "text_special", "strong_open", "strong_close", "html_inline"}
        assert {child.content for child in token.children or () if child.type == "html_inline"} <= HTML
        if token.type == "inline":
            texts.append("".join(child.content for child in token.children or () if child.type != "html_inline"))
    return texts


HTML = {"<br>", "<sup>", "</sup>"}
PRINTED = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]) | st.just(" "), max_size=40)


@given(PRINTED)
@example(NASTY)
@example("<script>alert(1)</script> &lt; &#60; https://a.b <https://a.b> ![a](b) **b** __c__ ~~d~~ `e` \\* # 1.")
@example("===")
@example("---")
@example(" ")
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    shown = one_line(text).strip()
    report = replace(report_of(text, text), notes=(text,), remarks=(text,), source=text)
    blocks = literal(MARKDOWN.parse(markdown.render(report)))
    expected = {shown, f"{shown}{shown}", f"{shown}1,2", "Notes:", f"Source: {shown}".strip(), ""}
    assert set(map(str.strip, blocks)) <= expected
    assert blocks.count(shown) >= (6 if shown else 0)  # title, key column, cells, section, note, remark


@pytest.mark.parametrize(("note", "line"), [("- a", "1. \\- a"), ("+ a", "1. \\+ a"), ("2. a", "1. 2\\. a")])
def test_a_note_is_no_list_of_its_own(note: str, line: str) -> None:
    assert line in markdown.render(Report("t", PLAIN.headings, (), notes=(note,)))


@given(ANY, ANY, st.floats(allow_nan=False), st.integers())
@example(NASTY, NASTY, 0.1, 1)
def test_csv_is_read_back_as_it_was(label: str, text: str, mean: float, n: int) -> None:
    headings = (Heading("name", label), Heading("x", label))
    cells = (Cell(text), Cell("1.0", fields={"mean": mean, "n": n, "std": None}))
    rendered = csv_format.render(Report(label, headings, (Line(text, cells, label),)))
    rows = list(csv.reader(StringIO(rendered, newline=""), strict=True))
    names = ["key", "section"] if label else ["key"]
    assert rows[0] == [*names, "name", "x.mean", "x.n", "x.std"]
    shown = "" if text == "–" else text
    assert rows[1] == [text, *([label] if label else []), shown, repr(mean), str(n), ""]
    assert float(rows[1][-3]) == mean


def test_csv_has_a_line_for_each_row_and_ends_as_its_standard_says() -> None:
    rendered = csv_format.render(REPORT)
    assert rendered.count("\r\n") == rendered.count("\n") == 1 + len(LINES)
    rows = list(csv.DictReader(StringIO(rendered, newline="")))
    assert [row["key"] for row in rows] == [line.key for line in LINES]
    assert rows[0]["c100.std"] == "0.3333333333333333"
    assert (rows[2]["c100"], rows[2]["c100.mean"], rows[3]["c10.mean"]) == ("not run", "", "")


def test_a_field_without_a_name_has_its_columns() -> None:
    cells = [Cell("2.1 M", fields={"": 2_100_000, "agrees": "True"}), Cell("odd"), Cell("–")]
    lines = tuple(Line(str(n), (cell,)) for n, cell in enumerate(cells))
    rendered = csv_format.render(Report("t", (Heading("size", "size"),), lines))
    assert rendered.split() == ["key,size,size.agrees", "0,2100000,True", "1,odd,", "2,,"]


def test_csv_names_no_column_twice() -> None:
    headings = (Heading("key", "key"), Heading("section", "section"))
    rendered = csv_format.render(Report("t", headings, (Line("a", (Cell("b"), Cell("c")), "d"),)))
    assert rendered == "key,section\r\nb,c\r\n"


def braces(text: str) -> int:
    """How deep braces are open at the end. Fails where one is closed that was not open."""
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text.replace(r"\\", "")):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth


@given(ANY)
@example(NASTY)
def test_latex_has_no_sign_left_that_means_something(text: str) -> None:
    escaped = latex_text.escape(text)
    assert braces(escaped) == 0
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[#%&]", escaped)
    assert not re.search(r"(?<!\\)[$_^]", escaped)


@given(ANY, ANY)
@example(NASTY, NASTY)
def test_latex_keeps_its_columns(label: str, text: str) -> None:
    rendered = latex.render(report_of(label, text))
    assert braces(rendered) == 0
    tables = re.findall(r"begin\{tabular\}\{@\{\}([^\n]*)@\{\}\}\n(.*?)\\bottomrule", rendered, re.DOTALL)
    assert tables
    for specification, body in tables:
        count = len(list(columns_of(specification)))
        rows = [line for line in body.split("\n") if line.endswith(r" \\")]
        assert len(rows) >= 2
        for row in rows:
            spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d)\}", row))
            assert len(re.findall(r"(?<!\\)&", row)) + spanned == count - 1


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("50 % & more_of #1", r"50 \% \& more\_of \#1"),
        ("a\\b{c}~^", r"a{\textbackslash}b\{c\}{\textasciitilde}{\textasciicircum}"),
        ("1 ± 2 – 3 ≥ λ", r"1 \ensuremath{\pm} 2 {\textendash} 3 \ensuremath{\geq} \ensuremath{\lambda}"),
        ("--format ,, ''", r"-{}-format ,{}, '{}'"),
        ("é ō", r"\'e \={o}"),
        ("\u4e2d", r"\ensuremath{\langle}\texttt{U+4E2D}\ensuremath{\rangle}"),
        ("-1.49 [-2.10] of CIFAR-10, n-1", r"\ensuremath{-}1.49 {[}\ensuremath{-}2.10{]} of CIFAR-10, n-1"),
        ("[x] *", "{[}x{]} {*}"),
    ],
)
def test_latexs_signs_are_escaped(text: str, set_as: str) -> None:
    assert latex_text.escape(text) == set_as


def test_latex_has_ascii_alone() -> None:
    assert latex_text.escape(everything()).isascii()


def everything() -> str:
    """Return every character that is set as itself or as a command."""
    return "".join(chr(n) for n in range(32, 0x2300) if latex_text.SET_BY_PACKAGES.fullmatch(chr(n)))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_latex_compiles(own_folder: Path) -> None:
    packages = f"\\usepackage[T1]{{fontenc}}\n\\usepackage{{{','.join(latex_text.PACKAGES)}}}\n"
    heading = f"\\documentclass{{article}}\n{packages}\\begin{{document}}\n"
    nasty = report_of(NASTY, everything())
    texts = [latex.render(report) for report in (REPORT, PLAIN, nasty)]
    Path("t.tex").write_text(heading + "\n".join(texts) + "\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-draftmode", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    result = subprocess.run(command, check=False, capture_output=True)
    assert result.returncode == 0, result.stdout.decode(errors="replace")[-2000:]
    assert b"Missing character" not in Path("t.log").read_bytes()
