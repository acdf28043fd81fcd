"""The console that everything is printed with: text is shown as it is."""

from io import StringIO

import pytest
from rich.text import Text

from attnbench.console import make_console, make_table

HOSTILE = "\x1b]0;title\x07[/b] [red]x[/red] :smile: \x1b[2J"
SHOWN = r"\x1b]0;title\x07[/b] [red]x[/red] :smile: \x1b[2J"


def printed(what: object, **options: bool) -> str:
    stream = StringIO()
    make_console(file=stream, width=100, **options).print(what)
    return stream.getvalue()


def test_text_is_neither_markup_nor_a_command() -> None:
    assert printed(HOSTILE) == f"{SHOWN}\n"


def test_cells_titles_and_captions_are_shown_in_full_and_aligned() -> None:
    table = make_table(title=HOSTILE, caption=HOSTILE)
    table.add_column("run")
    table.add_column("state")
    table.add_row(HOSTILE, "new")
    table.add_row("x", "damaged")
    out = printed(table)
    assert out.count(SHOWN) == 3
    first, second = (next(line for line in out.splitlines() if word in line) for word in ("new", "damaged"))
    assert first.index("new") == second.index("damaged")


def test_texts_with_a_style_keep_it() -> None:
    out = printed(Text(HOSTILE.replace("\x07", ""), style="bold"), force_terminal=True)
    assert SHOWN.replace(r"\x07", "") in out
    assert out.count("\x1b") == 2  # of the style


@pytest.mark.parametrize("stderr", [False, True])
def test_tables_have_room_in_files(stderr: bool) -> None:
    assert make_console(stderr=stderr).width >= 120
