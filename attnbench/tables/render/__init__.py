"""Rendering: one format a file, each from the same sheet."""

from collections.abc import Callable

from attnbench.tables.render import csv, html, latex, markdown, terminal
from attnbench.tables.report import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    "terminal": terminal.render,
    "markdown": markdown.render,
    "latex": latex.render,
    "csv": csv.render,
    "html": html.render,
}
"""What a sheet can be rendered as. `terminal.show` prints to a console, in its width and colours."""
