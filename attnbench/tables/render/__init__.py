"""Renderers of a report, one format per file."""

from collections.abc import Callable

from attnbench.tables.render import claims, csv, html, latex, markdown, terminal
from attnbench.tables.report import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    "terminal": terminal.render,
    "markdown": markdown.render,
    "latex": latex.render,
    "csv": csv.render,
    "claims-csv": claims.render_csv,
    "html": html.render,
}
"""The formats of a report. `terminal.show` prints to a console, in its width and colours."""
