"""The terminal that results and progress are written to."""

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH_OF_FILES = 120


def make_console() -> Console:
    """Return a console on standard output; in files and pipes it is wide enough for tables."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(WIDTH_OF_FILES, console.width)
    return console


def make_table(title: str | None = None, caption: str | None = None) -> Table:
    """Return an empty table in the style that all tables share."""
    return Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=box.SIMPLE_HEAD)
