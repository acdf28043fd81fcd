"""Text as LaTeX. pylatexenc knows the commands; what begins an option, a starred form or a ligature is added here."""

import re

from pylatexenc.latexencode import (
    RULE_DICT,
    RULE_REGEX,
    UnicodeToLatexConversionRule,
    UnicodeToLatexEncoder,
    get_builtin_uni2latex_dict,
)

from attnbench.tables.render.layout import one_line

PACKAGES = ("array", "booktabs", "amssymb", "textcomp")
"""Packages that a document needs to set the text, besides `[T1]{fontenc}`."""
SET_BY_PACKAGES = re.compile("[ -~\u00a0-\u0148\u014a-\u017f\u0391-\u03f5\u2002-\u203a\u2190-\u2199\u21d0-\u21d4"
                              "\u2200-\u220b\u220f-\u2213\u221a-\u221e\u2227-\u222b\u223c\u2243-\u2245\u2247\u2248\u2260-\u226b"
                              "\u2282-\u228b\u2295-\u2299\u22c5]")  # fmt: skip
"""Characters whose commands `PACKAGES` define; others are named by their code point."""
_COMMANDS = {
    code: command for code, command in get_builtin_uni2latex_dict().items() if SET_BY_PACKAGES.fullmatch(chr(code))
}
_OWN_COMMANDS = {
    ord("["): "{[}",  # after the end of a row it would begin an option
    ord("]"): "{]}",
    ord("*"): "{*}",  # as above: it would be the starred form
    ord("`"): r"\textasciigrave",
    ord('"'): r"\textquotedbl",
    ord("-"): "-",
    0x2011: r"\mbox{-}",
    0x202F: r"\,",
}
_PATTERNS = [
    (re.compile(r"(?<![\w.)-])-(?=\.?\d)"), r"\\ensuremath{-}"),  # a minus before a number, no hyphen as in CIFAR-10
    (re.compile(r"([-,'])(?=\1)"), r"\1{}"),  # `--` is two hyphens, not a dash
]
_ENCODER = UnicodeToLatexEncoder(
    conversion_rules=[
        UnicodeToLatexConversionRule(RULE_REGEX, _PATTERNS),
        UnicodeToLatexConversionRule(RULE_DICT, _OWN_COMMANDS),
        UnicodeToLatexConversionRule(RULE_DICT, _COMMANDS),
    ],
    unknown_char_policy="unihex",
    unknown_char_warning=False,
)


def escape(text: str) -> str:
    """Return text as LaTeX on one line; characters without a command are named by their code point (`U+4E2D`)."""
    return str(_ENCODER.unicode_to_latex(one_line(text)))
