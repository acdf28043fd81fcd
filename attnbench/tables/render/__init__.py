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
FILES = {
    "markdown": "table.md",
    "latex": "table.tex",
    "csv": "table.csv",
    "claims-csv": "claims.csv",
    "html": "table.html",
}
"""The files of a report that is kept."""


def in_all_formats(report: Report) -> dict[str, str]:
    """Return the content of the files of a report that is kept, by name."""
    return {file: FORMATS[name](report) for name, file in FILES.items()}
