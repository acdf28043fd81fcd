"""Measures the tables in LaTeX source by the metrics of Computer Modern that come with matplotlib."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.ft2font import FT2Font, LoadFlags
from pylatexenc.latex2text import LatexNodes2Text

SIZES = {"small": 9 / 10 * 1.0278, "footnotesize": 8 / 10 * 1.0625}
"""Letters of cmr9 and cmr8 are wider for their size than those of cmr10: digits 0.514 and 0.531 em, not 0.5."""
BOLD = 1.15  # cmbx10: digits 0.575 em
SUPERSCRIPT = 7 / 10 * 1.139  # cmr7: digits 0.569 em
LIKE = str.maketrans("−±×≥≤≈≠<>·λαρΔ|_–~\u00a0", "==========bbbm.00  ")
"""Signs that other fonts have, as letters of cmr10 that are as wide or wider."""
MARK, LINE = "\x01", "\x02"


@cache
def font() -> FT2Font:
    found = FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "cmr10.ttf"))
    found.set_size(10, 72)
    return found


@cache
def letter(sign: str) -> float:
    known = sign if font().get_char_index(ord(sign)) else "N"
    return float(font().load_char(ord(known), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536


@cache
def plain(latex: str) -> str:
    return LatexNodes2Text().latex_to_text(latex)


def width_of_text(text: str) -> float:
    return sum(map(letter, text.translate(LIKE)))


def width(latex: str) -> float:
    """Width of a cell at 10 pt: the longest of its lines, marks of notes smaller, bold text wider."""
    lines = re.sub(r"\\begin\{tabular\}\[b\]\{[^}]*\}[^}]*\}(.*?)\\end\{tabular\}", r"\1", latex).split(r" \\ ")
    return max(map(_width_of_line, lines))


def _width_of_line(latex: str) -> float:
    total = 0.0
    for marks in re.findall(r"\\textsuperscript\{([\d,]*)\}", latex):
        total += SUPERSCRIPT * width_of_text(marks)
    latex = re.sub(r"\\textsuperscript\{[\d,]*\}", "", latex)
    factor = BOLD if r"\textbf{" in latex else 1.0
    return total + factor * width_of_text(plain(latex))


class Tabular:
    """A `tabular` of the source, with the widths of its columns."""

    def __init__(self, source: str) -> None:
        start = source.index("{@{}") + 1
        self.specification, body = _group(source, start - 1)
        self.scale = 1.0
        self.columns = list(columns_of(self.specification))
        body = re.sub(
            r"\\begin\{tabular\}\[b\].*?\\end\{tabular\}", lambda found: found[0].replace(r" \\ ", LINE), body
        )
        self.rows = [list(_cells(line[:-3])) for line in body.split("\n") if line.endswith(r" \\")]

    def total(self, scale: float, separation: float) -> float:
        """Width in points: of the widest cell of each column; wider spans widen their last column."""
        gaps = [0.0 if column.endswith("@") else 2 * separation for column in self.columns]
        widths = [float(column[1:]) if column[0] == "p" else 0.0 for column in self.columns]
        spans = []
        for row in self.rows:
            place = 0
            for count, is_broken, content in row:
                needed = 0.0 if is_broken else scale * width(content.replace(LINE, r" \\ "))
                if count > 1:
                    spans.append((count, place, needed))
                elif self.columns[place][0] != "p":
                    widths[place] = max(widths[place], needed)
                place += count
            assert place == len(self.columns), row
        for count, place, needed in sorted(spans):
            inner = sum(widths[place : place + count]) + sum(gaps[place : place + count - 1])
            widths[place + count - 1] += max(0.0, needed - inner)
        return sum(widths) + sum(gaps[:-1])

    def too_long_words(self, scale: float) -> list[str]:
        """Words that are wider than the column in which their text is broken."""
        found = []
        for row in self.rows:
            place = 0
            for count, _, content in row:
                if count == 1 and self.columns[place][0] == "p":
                    words = plain(re.sub(r"\\textsuperscript\{[\d,]*\}", "", content)).split()
                    found += [word for word in words if scale * width_of_text(word) > float(self.columns[place][1:])]
                place += count
        return found


def _group(text: str, start: int) -> tuple[str, str]:
    """The content of the braces that open at a place, and what follows them."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place], text[place + 1 :]
    raise ValueError(text)


def columns_of(specification: str) -> Iterator[str]:
    """Each column as its letter, with the width of a `p` column, and `@` if no gap follows it."""
    inner = specification.removeprefix("@{}").removesuffix("@{}").replace(r">{\raggedright\arraybackslash}", "")
    for found in re.finditer(r"p\{([\d.]+)pt\}|([lrc])(@\{\})?", inner):
        yield f"p{found[1]}" if found[1] else found[2] + ("@" if found[3] else "")


def _cells(line: str) -> Iterator[tuple[int, bool, str]]:
    """The cells of a line: columns that each spans, whether its text is broken, its content."""
    for cell in re.split(r"(?<!\\)&", line):
        text = cell.strip()
        if text.startswith(r"\multicolumn"):
            count, rest = _group(text, text.index("{"))
            specification, rest = _group(rest, 0)
            content, _ = _group(rest, 0)
            yield int(count), "p{" in specification, content
        else:
            yield 1, False, text


def tabulars(latex: str) -> Iterator[tuple[Tabular, float, float]]:
    """The tables of the source, with the scale of their letters and half the gap between their columns."""
    for environment in re.findall(r"\\begin\{table\}(.*?)\\end\{table\}", latex, re.DOTALL):
        size = re.search(r"\\centering\\(\w+)\\setlength\{\\tabcolsep\}\{([\d.]+)pt\}", environment)
        assert size
        for source in re.findall(r"(\\begin\{tabular\}\{@\{\}.*?\\bottomrule)", environment, re.DOTALL):
            yield Tabular(source), SIZES[size[1]], float(size[2])
