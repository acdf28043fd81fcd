r"""Any text as LaTeX that pdflatex sets with the T1 encoding and no further package."""

import re
import unicodedata

from attnbench.tables.render.layout import one_line

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after the end of a row it would begin an option
    "]": "{]}",
    "*": "{*}",  # as above: it would be the starred form
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "\u00a0": "~",
    "\u202f": r"\,",
}
_MATHS = {
    "±": r"\pm",
    "×": r"\times",
    "÷": r"\div",
    "·": r"\cdot",
    "−": "-",
    "≤": r"\leq",
    "≥": r"\geq",
    "≈": r"\approx",
    "≠": r"\neq",
    "∼": r"\sim",
    "∞": r"\infty",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "°": r"{}^\circ",
    "µ": r"\mu",
    "∆": r"\Delta",
    "√": r"\surd",
    "⊕": r"\oplus",
    "⊗": r"\otimes",
    "¹": "{}^1",
    "²": "{}^2",
    "³": "{}^3",
    "†": r"\dagger",
    "‡": r"\ddagger",
}
_GREEK = {
    "αβγδεζηθικλμ": "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu",
    "νξπρστυφχψω": "nu xi pi rho sigma tau upsilon phi chi psi omega",
    "ΓΔΘΛΞΠΣΦΨΩ": "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega",
}
for _letters, _names in _GREEK.items():
    _MATHS |= {letter: rf"\{name}" for letter, name in zip(_letters, _names.split(), strict=True)}
TRANSLATED = (*_SPECIAL, *_MATHS)
"""Characters that are written as something else."""
_COMBINING = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328"
_ACCENTS = dict(zip(_COMBINING, "`'^~=u.\"rHvck", strict=True))
_LETTERS = (
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŁłŒœŠšŽž"  # in T1 and in UTF-8 as LaTeX reads it
)
_MINUS = re.compile(r"(?<![\w.)-])-(?=\.?\d)")  # before a number, and no hyphen as in CIFAR-10
_LIGATURE = re.compile(r"([-<>,'])(?=[-<>,'])")


def escape(text: str) -> str:
    """Text as LaTeX, on one line. What T1 lacks is decomposed (`ō`), or named by its code point (`U+4E2D`)."""
    signed = _MINUS.sub("−", one_line(text))
    apart = _LIGATURE.sub("\\1\u200b", signed)  # `--` is two hyphens, not a dash
    return "".join(map(_letter, apart))


def _letter(letter: str) -> str:
    """A character."""
    if letter == "\u200b":
        return "{}"
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if letter in _MATHS:
        return f"${_MATHS[letter]}$"
    if (letter.isascii() and letter.isprintable()) or letter in _LETTERS:
        return letter
    return _accented(letter)


def _accented(letter: str) -> str:
    """A character as an accent over a letter where it can be taken apart, else its code point."""
    base, *accents = list(unicodedata.normalize("NFD", letter))
    if base.isascii() and base.isalpha() and accents and set(accents) <= set(_ACCENTS):
        for accent in accents:
            base = rf"\{_ACCENTS[accent]}{{{base}}}"
        return base
    return f"U+{ord(letter):04X}"
