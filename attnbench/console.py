"""The terminal that results and progress are written to."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from attnbench.plain_text import plain

WIDTH_OF_FILES = 120


class PlainConsole(Console):
    """A console that shows text as it is: no markup, no emoji codes, no control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text, in the width that it is measured with."""
        return super().render_str(plain(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything that can be shown; Rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def make_console(stderr: bool = False, **options: Any) -> Console:
    """Return a console on standard output or standard error; in files and pipes it is wide enough for tables.

    Args:
        stderr: whether it writes to standard error.
        options: of Rich's console.
    """
    console = PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False, **options)
    if not console.is_terminal and "width" not in options:
        console.width = max(WIDTH_OF_FILES, console.width)
    return console


def make_table(title: str | None = None, caption: str | None = None) -> Table:
    """Return an empty table in the style that all tables share."""
    return Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=box.SIMPLE_HEAD)
