"""Widths of text in Computer Modern without LaTeX, in points at 10 pt; text is set no wider than they say."""

from attnbench.tables.render.layout import one_line

BOLD = 1.16
"""Width of bold letters over that of others: in cmbx10 over cmr10 it is 1.157 at most."""
SUPERSCRIPT = 0.8
"""Width of a superscript's digits over that of others: cmr7 over cmr10, cmr6 over cmr9 and cmr8."""
_GROUPS = {
    2.8: "!',.:;[]il|",
    3.1: "fj",
    3.4: " -\u00a0\u2011",
    3.7: "I",
    3.9: "()t",
    4.0: "rs",
    4.5: "cez",
    4.8: "?",
    5.0: '"$*/0123456789\\_`ago{}–°',
    5.2: "J",
    5.3: "kqvxyγρ",
    5.6: "Sbdhnpu",
    6.2: "Z^~δσ",
    6.3: "L",
    6.6: "Fαβλ",
    6.9: "EP",
    7.1: "B",
    7.3: "CTw",
    7.4: "R",
    7.5: "AHNUVXY",
    7.7: "D",
    7.8: "&+<=>@KOQ−±×·≥≤≈≠",
    7.9: "G",
    8.4: "#%mΔ",
    9.2: "M",
    10.3: "W",
}  # of cmr10 and cmmi10, rounded up; signs of mathematics are cmsy10's
_WIDTHS = {letter: width for width, letters in _GROUPS.items() for letter in letters}
_UNKNOWN = 10.3


def text_width(text: str, bold: bool = False) -> float:
    """Return the width of text on one line."""
    return sum(_WIDTHS.get(letter, _UNKNOWN) for letter in one_line(text)) * (BOLD if bold else 1.0)


def longest_word(text: str) -> float:
    """Return the width of the longest part of a text that is not broken."""
    return max(map(text_width, text.split()), default=0.0)


def wrap_words(text: str, width: float) -> list[str]:
    """Break text into lines of at most this width; a longer word is a line."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]
