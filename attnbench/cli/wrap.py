"""Fit help texts to the width of a terminal."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator

from attnbench.plain_text import plain

COLUMN = re.compile(r" *\S.*? {2,}(?=\S)")
"""The part of a line before its explanation: `  --json             print JSON`."""
FULL = 90
"""A line of prose that is longer than this goes on in the next line."""


def print_help(text: str) -> None:
    """Print a help text; in a terminal that is narrower than the text, wrapped."""
    width = shutil.get_terminal_size().columns
    print(plain(fit(text, width) if sys.stdout.isatty() else text))


def fit(text: str, width: int) -> str:
    """Wrap the lines of a help text that are too long, explanations below their own column.

    Example commands without an explanation stay whole, so that they can be copied.
    """
    if all(len(line) <= width for line in text.splitlines()):
        return text
    return "\n".join(_wrap(line, width) for line in _joined(text.splitlines()))


def _joined(lines: list[str]) -> Iterator[str]:
    """Yield the lines, each joined with those that continue it."""
    whole, last = "", ""
    for number, line in enumerate(lines):
        if number and _continues(line, whole, last):
            whole = f"{whole} {line.strip()}"
        elif number:
            yield whole
            whole = line
        else:
            whole = line
        last = line
    yield whole


def _continues(line: str, whole: str, last: str) -> bool:
    if not line or not last:
        return False
    indent, column = _indent(line), _column(whole)
    return indent == column if indent else column == 0 and _indent(last) == 0 and len(last) > FULL


def _wrap(line: str, width: int) -> str:
    indent, column = _indent(line), _column(line)
    if len(line) <= width or (indent and not column):
        return line
    below = column if column <= width // 2 else indent + 4
    wrapped = textwrap.wrap(line, width, subsequent_indent=" " * below, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapped)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _column(line: str) -> int:
    """Return where a line's explanation begins; 0 if it has none."""
    match = COLUMN.match(line)
    return match.end() if match else 0
